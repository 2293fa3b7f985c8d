/**
 * From a keystroke to ghost text: the first draft is shown as soon as it is there, the others join
 * it when they are, and better ones take their places.
 */
import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import { itemOf } from './items';
import { askAgain, registerNobody } from './refresh';
import { DRAFT, DRAFTS, type BetterDrafts, type Draft, type Drafts, type DraftsParams, type StreamedDraft } from './protocol';

/**
 * VS Code gives a request up when a key was pressed, but also after 750 ms, to let IntelliSense have
 * its turn. Then the drafts are still wanted: whether a key was it is known this much later.
 */
const GRACE_MS = 30;

/** A place in one version of a document, and the drafts that are known for it so far. */
export interface Offer {
  readonly uri: string;
  readonly version: number;
  readonly position: vscode.Position;
  drafts: readonly Draft[];
  complete: boolean; // all drafts of the request are there
  milliseconds: number; // from the request to its first draft
  refreshed: number; // how often VS Code was made to ask again
}

export class DraftProvider implements vscode.Disposable {
  /** What was found for the newest request, for the panel and the status bar. */
  current: Offer | undefined;
  private waiting: { offer: Offer; first: () => void } | undefined;
  private readonly changed = new vscode.EventEmitter<Offer>();
  readonly onDidChange = this.changed.event;
  private readonly disposables: vscode.Disposable[];

  constructor(
    private readonly client: LanguageClient,
    private readonly extensionId: string,
  ) {
    this.disposables = [
      registerNobody(),
      client.onNotification(DRAFT, (streamed: StreamedDraft) => this.hearFirst(streamed)),
      client.onNotification(DRAFTS, (better: BetterDrafts) => this.hearBetter(better)),
    ];
  }

  async provide(
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.InlineCompletionContext,
    token: vscode.CancellationToken,
  ): Promise<vscode.InlineCompletionItem[]> {
    const invoked = context.triggerKind === vscode.InlineCompletionTriggerKind.Invoke;
    const editor = vscode.window.activeTextEditor;
    if (editor?.document === document && editor.selections.length > 1) return [];
    const known = this.current;
    const here = known !== undefined && isAt(known, document, position);
    // Who insists, and saw nothing, has the model asked again.
    const offer = here && (known.drafts.length > 0 || (known.complete && !invoked))
      ? known
      : await this.ask(document, position, !invoked, token);
    if (token.isCancellationRequested) return [];
    return offer.drafts.map((draft) => itemOf(document, position, draft));
  }

  /** The drafts for a place; resolves with the first one while the others are in work. */
  private ask(
    document: vscode.TextDocument,
    position: vscode.Position,
    automatic: boolean,
    token: vscode.CancellationToken,
  ): Promise<Offer> {
    const uri = document.uri.toString();
    const offer: Offer = { uri, version: document.version, position, drafts: [], complete: false, milliseconds: 0, refreshed: 0 };
    const began = performance.now();
    const params: DraftsParams = {
      textDocument: { uri: this.client.code2ProtocolConverter.asUri(document.uri) },
      position: this.client.code2ProtocolConverter.asPosition(position),
      automatic,
    };
    this.current = offer;
    const source = new vscode.CancellationTokenSource();
    const isHere = (): boolean => this.current === offer && isAtCursor(offer);
    const patience = token.onCancellationRequested(() =>
      setTimeout(() => {
        if (!isHere()) source.cancel();
      }, GRACE_MS),
    );
    return new Promise((resolve, reject) => {
      let told = false;
      const first = (): void => {
        if (told) return;
        told = true;
        offer.milliseconds = performance.now() - began;
        resolve(offer);
        if (token.isCancellationRequested && offer.drafts.length > 0) this.refresh(offer);
        else this.changed.fire(offer);
      };
      this.waiting = { offer, first };
      this.client.sendRequest<Drafts>(DRAFTS, params, source.token).then(
        (answer) => {
          const shown = offer.drafts.length;
          offer.drafts = answer.drafts;
          offer.complete = true;
          if (this.waiting?.offer === offer) this.waiting = undefined;
          const late = told && answer.drafts.length > shown;
          first();
          if (late) this.refresh(offer);
        },
        (error: unknown) => {
          if (this.waiting?.offer === offer) this.waiting = undefined;
          if (token.isCancellationRequested) first();
          else reject(error instanceof Error ? error : new Error(String(error)));
        },
      ).finally(() => vscode.Disposable.from(patience, source).dispose());
    });
  }

  private hearFirst(streamed: StreamedDraft): void {
    const waiting = this.waiting;
    if (!waiting || !isFor(waiting.offer, streamed.uri, streamed.version) || waiting.offer.drafts.length) return;
    waiting.offer.drafts = [streamed.draft];
    waiting.first();
  }

  private hearBetter(better: BetterDrafts): void {
    const offer = this.current;
    if (!offer || !isFor(offer, better.uri, better.version)) return;
    const same = textsOf(offer.drafts) === textsOf(better.drafts);
    offer.drafts = better.drafts;
    if (same) this.changed.fire(offer);
    else this.refresh(offer);
  }

  /** Have VS Code ask again, which is answered at once; it keeps the draft on display if it is still there. */
  private refresh(offer: Offer): void {
    this.changed.fire(offer);
    if (this.current === offer && isAtCursor(offer)) {
      void askAgain(this.extensionId, offer.refreshed);
      offer.refreshed += 1;
    }
  }

  dispose(): void {
    vscode.Disposable.from(...this.disposables, this.changed).dispose();
  }
}

function isAtCursor(offer: Offer): boolean {
  const editor = vscode.window.activeTextEditor;
  return editor !== undefined && isAt(offer, editor.document, editor.selection.active);
}

function isAt(offer: Offer, document: vscode.TextDocument, position: vscode.Position): boolean {
  return isFor(offer, document.uri.toString(), document.version) && offer.position.isEqual(position);
}

function isFor(offer: Offer, uri: string, version: number): boolean {
  return vscode.Uri.parse(uri).toString() === offer.uri && offer.version === version;
}

function textsOf(drafts: readonly Draft[]): string {
  return JSON.stringify(drafts.map((draft) => draft.text));
}
