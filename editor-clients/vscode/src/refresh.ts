/**
 * Has VS Code ask again for the place that it shows drafts of.
 *
 * A new list cannot be handed over; VS Code has to ask for it, and does not if what it has seems to
 * be the answer already: an answer to an invoked request, from all the providers that are asked now.
 * So the first time only this extension is asked by invocation, the second time all are, of whom one
 * is new to that answer (`nobody`). Ghost text stays on display through both. A third time it has to
 * be hidden for a moment.
 */
import * as vscode from 'vscode';

const TRIGGER = 'editor.action.inlineSuggest.trigger';
const HIDE = 'editor.action.inlineSuggest.hide';

/** A provider that never has anything. */
export function registerNobody(): vscode.Disposable {
  return vscode.languages.registerInlineCompletionItemProvider('*', { provideInlineCompletionItems: () => [] });
}

/** `times`: how often this was done for the place before. */
export function askAgain(extensionId: string, times: number): Thenable<unknown> {
  if (times === 0) return vscode.commands.executeCommand(TRIGGER, { providerId: `${extensionId}:*` });
  if (times === 1) return vscode.commands.executeCommand(TRIGGER);
  return vscode.commands.executeCommand('runCommands', { commands: [HIDE, TRIGGER] });
}
