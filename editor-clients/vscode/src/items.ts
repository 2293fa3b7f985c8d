/** Drafts as VS Code's inline completion items. */
import * as vscode from 'vscode';
import { rangeOf } from './offer';
import { ACCEPTED, type Draft } from './protocol';

/**
 * VS Code drops an item whose range begins elsewhere than the typed word, or whose filter text the
 * replaced text is not found in; so both are made to fit. A range that begins before the cursor
 * replaces indentation, which VS Code leaves out of the comparison.
 */
export function itemOf(document: vscode.TextDocument, at: vscode.Position, draft: Draft): vscode.InlineCompletionItem {
  const range = rangeOf(draft);
  const word = range.start.isBefore(at) ? '' : wordBefore(document.lineAt(at.line).text.slice(0, at.character));
  const replaced = document.getText(new vscode.Range(at, range.end));
  const text = word + draft.text;
  const item = new vscode.InlineCompletionItem(text, range.with(range.start.translate(0, -word.length)), {
    title: 'Draft accepted',
    command: ACCEPTED,
    arguments: [draft.id],
  });
  if (!isSubsequence(replaced, draft.text)) item.filterText = text + replaced;
  return item;
}

/** Whether a draft goes on as the item that is chosen in the menu of IntelliSense does. */
export function extendsSelected(item: vscode.InlineCompletionItem, selected: vscode.SelectedCompletionInfo): boolean {
  return typeof item.insertText === 'string' && item.insertText.startsWith(selected.text);
}

function wordBefore(text: string): string {
  return /[\p{L}\p{N}_]*$/u.exec(text)?.[0] ?? '';
}

function isSubsequence(part: string, whole: string): boolean {
  let at = 0;
  for (const character of part) {
    at = whole.indexOf(character, at) + 1;
    if (at === 0) return false;
  }
  return true;
}
