/**
 * Tells the server which drafts were on display and what of them was taken, for the user's own
 * statistics.
 *
 * VS Code says neither to an extension. So the first draft counts as shown once it is handed over,
 * and text that appears at the cursor in one piece and begins a draft as an accepted part of it.
 */
import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import { isFor, type Offer } from './offer';
import { ACCEPTED, HIDDEN, PARTLY_TAKEN, SHOWN, type Draft } from './protocol';

export class ShownDrafts implements vscode.Disposable {
  private offer: Offer | undefined;
  private draft: Draft | undefined; // the one on display
  private readonly listening: vscode.Disposable;

  constructor(private readonly client: LanguageClient) {
    this.listening = vscode.Disposable.from(
      vscode.workspace.onDidChangeTextDocument((event) => this.changed(event)),
      vscode.window.onDidChangeTextEditorSelection((event) => this.moved(event.textEditor)),
      vscode.window.onDidChangeActiveTextEditor(() => this.hide()),
    );
  }

  /** An offer was handed to VS Code. */
  show(offer: Offer): void {
    const first = offer.drafts[0];
    if (!first || (this.offer === offer && this.draft?.id === first.id)) return;
    this.hide();
    this.offer = offer;
    this.draft = first;
    this.tell(SHOWN, { item: itemFor(first) });
  }

  private changed(event: vscode.TextDocumentChangeEvent): void {
    const [change] = event.contentChanges;
    if (!this.offer || !change || event.document.uri.toString() !== this.offer.uri) return;
    const taken = event.contentChanges.length === 1 && change.text.length > 1 && change.range.end.isEqual(this.offer.position)
      ? partTaken(this.offer, change)
      : undefined;
    if (taken) this.tell(PARTLY_TAKEN, { item: itemFor(taken.draft), acceptedLength: taken.length });
    this.hide();
  }

  private moved(editor: vscode.TextEditor): void {
    const offer = this.offer;
    if (offer && isFor(offer, editor.document) && !editor.selection.active.isEqual(offer.position)) this.hide();
  }

  private hide(): void {
    if (this.draft) this.tell(HIDDEN, { item: itemFor(this.draft) });
    this.offer = this.draft = undefined;
  }

  private tell(method: string, params: object): void {
    if (this.client.isRunning()) void this.client.sendNotification(method, params);
  }

  dispose(): void {
    this.hide();
    this.listening.dispose();
  }
}

/** The draft that an edit is a beginning of, if it is not the whole of it (which has a command). */
function partTaken(offer: Offer, change: vscode.TextDocumentContentChangeEvent): { draft: Draft; length: number } | undefined {
  const typed = change.rangeLength; // VS Code puts the whole word anew
  const text = change.text.slice(typed).replaceAll('\r\n', '\n');
  const draft = offer.drafts.find((each) => text.length > 0 && each.text.startsWith(text));
  return draft && text.length < draft.text.length ? { draft, length: text.length } : undefined;
}

function itemFor(draft: Draft): object {
  return { insertText: draft.text, command: { title: '', command: ACCEPTED, arguments: [draft.id] } };
}
