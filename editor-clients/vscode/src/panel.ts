/** The drafts side by side, beside the editor; follows the newest request while it is open. */
import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import { isFor, rangeOf, type Offer } from './offer';
import type { DraftProvider } from './provider';
import { ACCEPTED } from './protocol';
import { cardOf, type FromPage, type ToPage } from './view';

const NOWHERE = 'Put the cursor into a file, then ask for drafts again.';
const NOTHING = 'The models have no drafts for this place.';
const CHANGED = 'The text has changed since these drafts were written. Ask for them again.';

export class DraftsPanel implements vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;
  private offer: Offer | undefined;
  private column: vscode.ViewColumn | undefined; // of the editor that the drafts are for

  constructor(private readonly extensionUri: vscode.Uri) {}

  /** Show the drafts for the cursor. */
  async open(provider: DraftProvider): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (!editor) return void vscode.window.showInformationMessage(NOWHERE);
    this.column = editor.viewColumn;
    this.offer = undefined;
    if (this.panel) this.panel.reveal(undefined, false);
    else this.panel = this.make();
    this.say('The models are writing …');
    try {
      this.hear(await provider.offerAt(editor.document, editor.selection.active));
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error));
    }
  }

  /** There are new or better drafts. */
  hear(offer: Offer): void {
    if (!this.panel) return;
    this.offer = offer;
    const document = documentOf(offer);
    if (!document) return;
    if (offer.drafts.length === 0) return this.say(offer.complete ? NOTHING : 'The models are writing …');
    this.tell({
      show: {
        file: vscode.workspace.asRelativePath(document.uri),
        language: document.languageId,
        before: isFor(offer, document) ? document.lineAt(offer.position.line).text.slice(0, offer.position.character) : '',
        cards: offer.drafts.map(cardOf),
        complete: offer.complete,
      },
    });
  }

  private make(): vscode.WebviewPanel {
    const files = vscode.Uri.joinPath(this.extensionUri, 'dist');
    const panel = vscode.window.createWebviewPanel('polydraft.drafts', 'Drafts', vscode.ViewColumn.Beside, {
      enableScripts: true,
      localResourceRoots: [files],
    });
    const uriOf = (name: string): vscode.Uri => panel.webview.asWebviewUri(vscode.Uri.joinPath(files, name));
    panel.webview.html = page(panel.webview.cspSource, uriOf('drafts.js'), uriOf('drafts.css'));
    panel.webview.onDidReceiveMessage((said: FromPage) => void this.hearPage(said));
    panel.onDidDispose(() => {
      this.panel = this.offer = undefined;
    });
    return panel;
  }

  private async hearPage(said: FromPage): Promise<void> {
    if ('ready' in said) {
      if (this.offer) this.hear(this.offer);
    } else if ('close' in said) {
      await this.backToEditor();
    } else {
      await this.insert(said.insert);
    }
  }

  /** Put a draft into the text, which can be undone in one step. */
  private async insert(id: string): Promise<void> {
    const offer = this.offer;
    const draft = offer?.drafts.find((each) => each.id === id);
    if (!offer || !draft) return;
    const document = documentOf(offer);
    if (!document || !isFor(offer, document)) return this.say(CHANGED);
    const editor = await vscode.window.showTextDocument(document, { viewColumn: this.column });
    const range = rangeOf(draft);
    const start = document.offsetAt(range.start);
    const tail = document.getText().length - document.offsetAt(range.end);
    if (!(await editor.edit((edit) => edit.replace(range, draft.text)))) return this.say(CHANGED);
    const end = document.positionAt(Math.max(start, document.getText().length - tail));
    editor.selection = new vscode.Selection(end, end);
    editor.revealRange(new vscode.Range(end, end));
    this.panel?.dispose();
    await vscode.commands.executeCommand(ACCEPTED, draft.id);
  }

  private async backToEditor(): Promise<void> {
    const document = this.offer && documentOf(this.offer);
    this.panel?.dispose();
    if (document) await vscode.window.showTextDocument(document, { viewColumn: this.column });
  }

  private say(text: string): void {
    this.tell({ say: text });
  }

  private tell(message: ToPage): void {
    void this.panel?.webview.postMessage(message);
  }

  dispose(): void {
    this.panel?.dispose();
  }
}

function documentOf(offer: Offer): vscode.TextDocument | undefined {
  return vscode.workspace.textDocuments.find((each) => each.uri.toString() === offer.uri);
}

function page(source: string, script: vscode.Uri, style: vscode.Uri): string {
  const nonce = randomBytes(16).toString('base64');
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src ${source}; script-src 'nonce-${nonce}'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${style}">
<title>Drafts</title>
</head>
<body>
<main id="drafts" role="listbox" aria-label="Drafts"></main>
<p id="said" role="status" aria-live="polite"></p>
<script nonce="${nonce}" src="${script}"></script>
</body>
</html>`;
}
