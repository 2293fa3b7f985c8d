/** Starts the server and ties the parts together. */
import * as vscode from 'vscode';
import { CloseAction, ErrorAction, LanguageClient, TransportKind } from 'vscode-languageclient/node';
import { findServer, installServer } from './server';
import { DraftProvider } from './provider';
import { STATUS, type Status } from './protocol';
import { StatusBar } from './status';

const RESTARTS = 3; // by itself, within five minutes
const RESTART_SPAN_MS = 300_000;
const INSTALL = 'Install it';

/** A client and what listens to it. */
interface Running {
  client: LanguageClient;
  listeners: vscode.Disposable;
}

let running: Running | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const status = new StatusBar();
  const log = vscode.window.createOutputChannel('polydraft', { log: true });
  const start = async (): Promise<void> => {
    await stop();
    running = await startClient(context, log, status);
  };
  context.subscriptions.push(
    status,
    log,
    vscode.commands.registerCommand('polydraft.restart', start),
    vscode.commands.registerCommand('polydraft.log', () => log.show()),
    vscode.commands.registerCommand('polydraft.menu', showMenu),
    vscode.workspace.onDidGrantWorkspaceTrust(start),
  );
  await start();
}

export async function deactivate(): Promise<void> {
  await stop();
}

async function stop(): Promise<void> {
  const ending = running;
  running = undefined;
  ending?.listeners.dispose();
  await ending?.client.stop();
}

async function startClient(
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
  status: StatusBar,
): Promise<Running | undefined> {
  const server = await findServer(context);
  if (!server) {
    const message = 'The polydraft server is not installed.';
    status.fail(`${message} Run polydraft: Restart the server to be asked to install it, or set polydraft.serverPath.`);
    void offerInstallation(context, message);
    return undefined;
  }
  log.info(`starting the server of ${server.from}`);
  const ends: number[] = [];
  let provider: DraftProvider | undefined;
  const made = new LanguageClient(
    'polydraft',
    'polydraft',
    { command: server.command, args: server.args, transport: TransportKind.stdio },
    {
      documentSelector: [{ pattern: '**' }, { scheme: 'untitled' }],
      outputChannel: log,
      initializationOptions: { stream: true, trusted: vscode.workspace.isTrusted },
      middleware: {
        provideInlineCompletionItems: (document, position, about, token) =>
          provider?.provide(document, position, about, token) ?? [],
      },
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue }),
        closed: () => {
          const now = Date.now();
          ends.push(now);
          if (ends.filter((end) => now - end < RESTART_SPAN_MS).length <= RESTARTS) {
            return { action: CloseAction.Restart, message: 'The server ended and is started again.', handled: true };
          }
          status.fail('The server keeps ending. See its log (polydraft: Open the log), then run polydraft: Restart the server.');
          return { action: CloseAction.DoNotRestart };
        },
      },
    },
  );
  provider = new DraftProvider(made, context.extension.id);
  const listeners = vscode.Disposable.from(
    made.onNotification(STATUS, (said: Status) => status.hear(said)),
    provider.onDidChange((offer) => status.took(offer.milliseconds)),
    provider,
  );
  await made.start();
  return { client: made, listeners };
}

async function offerInstallation(context: vscode.ExtensionContext, message: string): Promise<void> {
  const question = `${message} It can be installed into an environment of this extension's own (about 1 GB).`;
  if ((await vscode.window.showWarningMessage(question, INSTALL)) !== INSTALL) return;
  const progress = { location: vscode.ProgressLocation.Notification, title: 'polydraft' };
  try {
    await vscode.window.withProgress(progress, (report) =>
      installServer(context, (step) => report.report({ message: step })),
    );
    await vscode.commands.executeCommand('polydraft.restart');
  } catch (error) {
    void vscode.window.showErrorMessage(`polydraft could not be installed. ${error instanceof Error ? error.message : error}`);
  }
}

async function showMenu(): Promise<void> {
  const picked = await vscode.window.showQuickPick(
    [
      { label: '$(debug-restart) Restart the server', command: 'polydraft.restart' },
      { label: '$(output) Open the log', command: 'polydraft.log' },
    ],
    { title: 'polydraft' },
  );
  if (picked) await vscode.commands.executeCommand(picked.command);
}
