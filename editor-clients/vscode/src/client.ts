/** The connection to a server: started here, or running elsewhere. */
import * as vscode from 'vscode';
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  TransportKind,
  type CloseHandlerResult,
  type LanguageClientOptions,
  type ServerOptions,
  type StaticFeature,
} from 'vscode-languageclient/node';
import { ownSetting, explicitSettings } from './settings';
import type { Command } from './server';
import { connect } from './websocket';

const RESTARTS = 3; // by itself, within five minutes
const RESTART_SPAN_MS = 300_000;
const FIRST_WAIT_MS = 500; // before it is started again; doubles

export const TOKEN = 'polydraft.token'; // in VS Code's store of secrets

export type Provide = NonNullable<LanguageClientOptions['middleware']>['provideInlineCompletionItems'];

/** `command` is what to start; undefined: the setting `polydraft.serverUrl` names a running one. */
export function makeClient(
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
  command: Command | undefined,
  provide: Provide,
  gaveUp: (message: string) => void,
): LanguageClient {
  const url = ownSetting('serverUrl');
  const server: ServerOptions = command
    ? { command: command.command, args: command.args, transport: TransportKind.stdio }
    : async () => connect(url, await context.secrets.get(TOKEN));
  const client: LanguageClient = new LanguageClient('polydraft', 'polydraft', server, {
    documentSelector: [{ pattern: '**' }, { scheme: 'untitled' }],
    outputChannel: log,
    initializationOptions: { stream: true, trusted: vscode.workspace.isTrusted },
    middleware: {
      provideInlineCompletionItems: provide,
      workspace: {
        configuration: (params) =>
          params.items.map(({ scopeUri }) =>
            explicitSettings(context.extension, scopeUri ? client.protocol2CodeConverter.asUri(scopeUri) : undefined),
          ),
      },
    },
    errorHandler: { error: () => ({ action: ErrorAction.Continue }), closed: restarting(log, gaveUp) },
    initializationFailedHandler: () => false, // `start` rejects, and that is shown
  });
  client.registerFeature(noProgress);
  return client;
}

/** The server's progress is in our status bar item; VS Code need not show it a second time. */
const noProgress: StaticFeature = {
  fillClientCapabilities: (capabilities) => {
    capabilities.window = { ...capabilities.window, workDoneProgress: false };
  },
  initialize: () => undefined,
  getState: () => ({ kind: 'static' }),
  clear: () => undefined,
};

function restarting(log: vscode.LogOutputChannel, gaveUp: (message: string) => void): () => Promise<CloseHandlerResult> {
  const ends: number[] = [];
  return async () => {
    const now = Date.now();
    ends.push(now);
    const recent = ends.filter((end) => now - end < RESTART_SPAN_MS).length;
    if (recent <= RESTARTS) {
      log.warn(`the server ended; it is started again (${recent} of ${RESTARTS})`);
      await new Promise((resolve) => setTimeout(resolve, FIRST_WAIT_MS * 2 ** (recent - 1)));
      return { action: CloseAction.Restart, handled: true };
    }
    gaveUp('The server keeps ending. See its log (polydraft: Open the log), then run "polydraft: Restart the server".');
    return { action: CloseAction.DoNotRestart, handled: true };
  };
}
