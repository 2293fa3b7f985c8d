/** A place in one version of a document, and the drafts that are known for it so far. */
import * as vscode from 'vscode';
import type { Draft } from './protocol';

export interface Offer {
  readonly uri: string;
  readonly version: number;
  readonly position: vscode.Position;
  drafts: readonly Draft[];
  complete: boolean; // all drafts of the request are there
  milliseconds: number; // from the request to its first draft
  refreshed: number; // how often VS Code was made to ask again
}

export function isFor(offer: Offer, document: vscode.TextDocument): boolean {
  return document.uri.toString() === offer.uri && document.version === offer.version;
}

export function isAt(offer: Offer, document: vscode.TextDocument, position: vscode.Position): boolean {
  return isFor(offer, document) && offer.position.isEqual(position);
}

export function isAtCursor(offer: Offer): boolean {
  const editor = vscode.window.activeTextEditor;
  return editor !== undefined && isAt(offer, editor.document, editor.selection.active);
}

/** The range that a draft replaces. */
export function rangeOf(draft: Draft): vscode.Range {
  const { start, end } = draft.range;
  return new vscode.Range(start.line, start.character, end.line, end.character);
}
