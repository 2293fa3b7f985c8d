/** Drafts as VS Code's inline completion items. */
import * as vscode from 'vscode';
import { ACCEPTED, type Draft } from './protocol';

/**
 * VS Code drops an item whose range begins elsewhere than the typed word, or whose filter text the
 * replaced text is not found in; so both are made to fit.
 */
export function itemOf(document: vscode.TextDocument, at: vscode.Position, draft: Draft): vscode.InlineCompletionItem {
  const word = wordBefore(document.lineAt(at.line).text.slice(0, at.character));
  const end = new vscode.Position(draft.range.end.line, draft.range.end.character);
  const replaced = document.getText(new vscode.Range(at, end));
  const item = new vscode.InlineCompletionItem(
    word + draft.text,
    new vscode.Range(at.translate(0, -word.length), end),
    { title: 'Draft accepted', command: ACCEPTED, arguments: [draft.id] },
  );
  if (!isSubsequence(replaced, draft.text)) item.filterText = word + draft.text + replaced;
  return item;
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
