/**
 * From a keystroke to ghost text: the first draft is shown as soon as it is there, the others join
 * it when they are, and better ones take their places.
 */
import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import { extendsSelected, itemOf } from './items';
import { isAt, isAtCursor, type Offer } from './offer';
import { askAgain, registerNobody } from './refresh';
import { DRAFT, DRAFTS, type BetterDrafts, type Draft, type Drafts, type DraftsParams, type StreamedDraft } from './protocol';

/**
 * VS Code gives a request up when a key was pressed, but also after 750 ms, to let IntelliSense have
 * its turn. Then the drafts are still wanted: whether a key was it is known this much later.
 */
const GRACE_MS = 30;

/** What the provider needs of the rest of the extension. */
export interface Surroundings {
  readonly extensionId: string;
  isPaused(document: vscode.TextDocument): boolean;
  shown(offer: Offer): void;
}

export class DraftProvider implements vscode.Disposable {
  /** What was found for the newest request, for the panel and the status bar. */
  current: Offer | undefined;
  private asksItself = false; // VS Code was made to ask; the user was not
  private waiting: { offer: Offer; first: () => void } | undefined;
  private readonly changed = new vscode.EventEmitter<Offer>();
  readonly onDidChange = this.changed.event;
  private readonly disposables: vscode.Disposable[];

  constructor(
    private readonly client: LanguageClient,
    private readonly around: Surroundings,
  ) {
    this.disposables = [
      registerNobody(),
      client.onNotification(DRAFT, (streamed: StreamedDraft) => this.hearFirst(streamed)),
      client.onNotification(DRAFTS, (better: BetterDrafts) => this.hearBetter(better)),
    ];
  }

  /** What VS Code asks for. */
  async provide(
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.InlineCompletionContext,
    token: vscode.CancellationToken,
  ): Promise<vscode.InlineCompletionItem[]> {
    const invoked = context.triggerKind === vscode.InlineCompletionTriggerKind.Invoke && !this.asksItself;
    const editor = vscode.window.activeTextEditor;
    if (editor?.document === document && editor.selections.length > 1) return [];
    const offer = await this.find(document, position, invoked, context.selectedCompletionInfo !== undefined, token);
    if (token.isCancellationRequested || !offer) return [];
    const selected = context.selectedCompletionInfo;
    const items = offer.drafts.map((draft) => itemOf(document, position, draft));
    const fitting = selected ? items.filter((item) => extendsSelected(item, selected)) : items;
    if (fitting.length > 0) this.around.shown(offer);
    return fitting;
  }

  /** The drafts for a place that somebody looks at: those that are known, or new ones. */
  async offerAt(document: vscode.TextDocument, position: vscode.Position): Promise<Offer> {
    const known = this.known(document, position);
    if (known && (known.drafts.length > 0 || !known.complete)) return known;
    const source = new vscode.CancellationTokenSource();
    return this.ask(document, position, false, source.token).finally(() => source.dispose());
  }

  /** The model is there: what was asked while it was loaded was answered with nothing. */
  async askOnceMore(): Promise<void> {
    const offer = this.current;
    if (!offer || offer.drafts.length > 0 || !isAtCursor(offer)) return;
    this.current = undefined;
    this.asksItself = true;
    try {
      await vscode.commands.executeCommand('editor.action.inlineSuggest.trigger');
    } finally {
      this.asksItself = false;
    }
  }

  /** `busy`: the user is choosing from the menu of IntelliSense, so the model is not asked. */
  private async find(
    document: vscode.TextDocument,
    position: vscode.Position,
    invoked: boolean,
    busy: boolean,
    token: vscode.CancellationToken,
  ): Promise<Offer | undefined> {
    const known = this.known(document, position);
    // Who insists, and saw nothing, has the model asked again.
    if (known && (known.drafts.length > 0 || (known.complete && !invoked))) return known;
    if (!invoked && (busy || this.around.isPaused(document))) return undefined;
    return this.ask(document, position, !invoked, token);
  }

  private known(document: vscode.TextDocument, position: vscode.Position): Offer | undefined {
    return this.current && isAt(this.current, document, position) ? this.current : undefined;
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
          const isShown = told;
          const shown = offer.drafts.length;
          offer.drafts = answer.drafts;
          offer.complete = true;
          if (this.waiting?.offer === offer) this.waiting = undefined;
          first();
          if (isShown && answer.drafts.length > shown) this.refresh(offer);
          else if (isShown) this.changed.fire(offer);
        },
        (error: unknown) => {
          offer.complete = true;
          if (this.waiting?.offer === offer) this.waiting = undefined;
          if (token.isCancellationRequested || !this.client.isRunning()) first();
          else reject(error instanceof Error ? error : new Error(String(error)));
        },
      ).finally(() => vscode.Disposable.from(patience, source).dispose());
    });
  }

  private hearFirst(streamed: StreamedDraft): void {
    const waiting = this.waiting;
    if (!waiting || !concerns(streamed, waiting.offer) || waiting.offer.drafts.length) return;
    waiting.offer.drafts = [streamed.draft];
    waiting.first();
  }

  private hearBetter(better: BetterDrafts): void {
    const offer = this.current;
    if (!offer || !concerns(better, offer)) return;
    const same = textsOf(offer.drafts) === textsOf(better.drafts);
    offer.drafts = better.drafts;
    if (same) this.changed.fire(offer);
    else this.refresh(offer);
  }

  /** Have VS Code ask again, which is answered at once; it keeps the draft on display if it is still there. */
  private refresh(offer: Offer): void {
    this.changed.fire(offer);
    if (this.current === offer && isAtCursor(offer)) {
      void askAgain(this.around.extensionId, offer.refreshed);
      offer.refreshed += 1;
    }
  }

  dispose(): void {
    vscode.Disposable.from(...this.disposables, this.changed).dispose();
  }
}

function concerns(said: StreamedDraft | BetterDrafts, offer: Offer): boolean {
  return vscode.Uri.parse(said.uri).toString() === offer.uri && said.version === offer.version;
}

function textsOf(drafts: readonly Draft[]): string {
  return JSON.stringify(drafts.map((draft) => draft.text));
}
