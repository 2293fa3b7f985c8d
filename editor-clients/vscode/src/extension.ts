/** Starts the server and ties the parts together. */
import * as vscode from 'vscode';
import { State, type LanguageClient } from 'vscode-languageclient/node';
import { makeClient, TOKEN } from './client';
import { chooseNumber, choosePause, showMenu } from './menu';
import { choosePair } from './pair';
import { DraftsPanel } from './panel';
import { Pauses } from './pauses';
import { STATUS, type Status } from './protocol';
import { DraftProvider } from './provider';
import { findServer, installServer, type Command } from './server';
import { explicitSettings, ownSetting } from './settings';
import { ShownDrafts } from './shown';
import { StatusBar } from './status';

const INSTALL = 'Install it';
const CHOOSE_MODELS = 'Choose models';
const OPEN_LOG = 'Open the log';
const NO_SERVER = 'The polydraft server does not run. Click polydraft in the status bar to see why.';

/** A connection and what listens to it. */
interface Running {
  client: LanguageClient;
  provider: DraftProvider;
  command: Command | undefined; // of a server that was started here
  listeners: vscode.Disposable;
}

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const extension = new Extension(context);
  context.subscriptions.push(extension);
  await extension.start();
}

/** Run a command; what goes wrong is shown. */
async function told(run: () => unknown): Promise<void> {
  try {
    await run();
  } catch (error) {
    void vscode.window.showErrorMessage(`polydraft: ${error instanceof Error ? error.message : error}`);
  }
}

class Extension implements vscode.Disposable {
  private readonly log = vscode.window.createOutputChannel('polydraft', { log: true });
  private readonly pauses: Pauses;
  private readonly status: StatusBar;
  private readonly panel: DraftsPanel;
  private running: Running | undefined;
  private readonly disposables: vscode.Disposable;

  constructor(private readonly context: vscode.ExtensionContext) {
    this.pauses = new Pauses((scope) => explicitSettings(context.extension, scope));
    this.status = new StatusBar(this.pauses);
    this.panel = new DraftsPanel(context.extensionUri);
    const commands: Record<string, () => unknown> = {
      menu: () => showMenu(this.status, this.pauses),
      drafts: () => this.required((running) => this.panel.open(running.provider)),
      pair: () => this.required((running) => choosePair(running.client, this.pauses.settings)),
      k: () => chooseNumber(this.pauses),
      pause: () => choosePause(this.pauses),
      doctor: () => this.runDoctor(),
      token: () => this.setToken(),
      install: () => this.install(),
      restart: () => this.start(),
      log: () => this.log.show(),
    };
    this.disposables = vscode.Disposable.from(
      this.log,
      this.pauses,
      this.status,
      this.panel,
      ...Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(`polydraft.${name}`, () => told(run))),
      vscode.workspace.onDidGrantWorkspaceTrust(() => this.start()),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('polydraft.serverPath') || event.affectsConfiguration('polydraft.serverUrl')) void this.start();
      }),
      this.status.onDidFail((message) => void this.offerRemedy(message)),
    );
  }

  /** Start the server; one that runs is ended first. */
  async start(): Promise<void> {
    await this.stop();
    this.status.starting();
    const command = ownSetting('serverUrl') ? undefined : await findServer(this.context);
    if (!command && !ownSetting('serverUrl')) {
      this.status.fail('The polydraft server is not installed. Run "polydraft: Install or update the server", or set polydraft.serverPath.');
      void this.offerInstallation();
      return;
    }
    this.log.info(command ? `starting the server of ${command.from}` : `connecting to ${ownSetting('serverUrl')}`);
    const running = this.connect(command);
    this.running = running;
    try {
      await running.client.start();
      await this.pauses.follow(running.client);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.log.error(message);
      this.status.fail(command ? `${command.command} does not start: ${message}. See the log (polydraft: Open the log).` : message);
    }
  }

  private connect(command: Command | undefined): Running {
    const client = makeClient(
      this.context,
      this.log,
      command,
      (document, position, about, token) => provider.provide(document, position, about, token),
      (message) => this.status.fail(message),
    );
    const shown = new ShownDrafts(client);
    const provider = new DraftProvider(client, {
      extensionId: this.context.extension.id,
      isPaused: (document) => this.pauses.isFilePaused(document),
      shown: (offer) => shown.show(offer),
    });
    const listeners = vscode.Disposable.from(
      client.onDidChangeState(({ newState }) => {
        if (newState === State.Starting) this.status.starting();
        if (newState === State.Running) void this.pauses.follow(client);
      }),
      client.onNotification(STATUS, (said: Status) => {
        this.status.hear(said);
        if (said.state === 'ready') void provider.askOnceMore();
        void this.pauses.follow(client); // the settings may be others
      }),
      provider.onDidChange((offer) => {
        this.status.took(offer.milliseconds);
        this.panel.hear(offer);
      }),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('polydraft')) this.pauses.reread();
      }),
      provider,
      shown,
    );
    return { client, provider, command, listeners };
  }

  private async stop(): Promise<void> {
    const ending = this.running;
    this.running = undefined;
    ending?.listeners.dispose();
    await ending?.client.dispose().catch((error: unknown) => this.log.warn(String(error)));
  }

  private required(use: (running: Running) => unknown): unknown {
    if (this.running?.client.isRunning()) return use(this.running);
    return vscode.window.showWarningMessage(NO_SERVER);
  }

  private async offerRemedy(message: string): Promise<void> {
    const picked = await vscode.window.showErrorMessage(`polydraft: ${message}`, CHOOSE_MODELS, OPEN_LOG);
    if (picked === CHOOSE_MODELS) await vscode.commands.executeCommand('polydraft.pair');
    if (picked === OPEN_LOG) this.log.show();
  }

  private async offerInstallation(): Promise<void> {
    const question = "The polydraft server is not installed. It can be put into an environment of this extension's own (some GB, most of it PyTorch).";
    if ((await vscode.window.showWarningMessage(question, INSTALL)) === INSTALL) await this.install();
  }

  private async install(): Promise<void> {
    const progress = { location: vscode.ProgressLocation.Notification, title: 'polydraft' };
    try {
      await vscode.window.withProgress(progress, (report) =>
        installServer(this.context, (step) => report.report({ message: step })),
      );
      await this.start();
    } catch (error) {
      this.log.error(String(error));
      void vscode.window.showErrorMessage(`polydraft could not be installed. ${error instanceof Error ? error.message : error}`);
    }
  }

  private async runDoctor(): Promise<void> {
    const command = this.running?.command ?? (await findServer(this.context));
    if (!command) return void vscode.window.showWarningMessage('The polydraft server is not installed on this machine. Run polydraft doctor where it is.');
    const task = new vscode.Task(
      { type: 'process' },
      vscode.workspace.workspaceFolders ? vscode.TaskScope.Workspace : vscode.TaskScope.Global,
      'doctor',
      'polydraft',
      new vscode.ProcessExecution(command.command, [...command.before, 'doctor']),
    );
    task.presentationOptions = { reveal: vscode.TaskRevealKind.Always, focus: false, clear: true };
    await vscode.tasks.executeTask(task);
  }

  private async setToken(): Promise<void> {
    const token = await vscode.window.showInputBox({
      title: 'polydraft: the token of the server at polydraft.serverUrl',
      prompt: 'It is kept in the store of secrets of VS Code. Leave it empty to forget it.',
      password: true,
      ignoreFocusOut: true,
    });
    if (token === undefined) return;
    if (token.trim()) await this.context.secrets.store(TOKEN, token.trim());
    else await this.context.secrets.delete(TOKEN);
    if (ownSetting('serverUrl')) await this.start();
  }

  dispose(): void {
    void this.stop();
    this.disposables.dispose();
  }
}
