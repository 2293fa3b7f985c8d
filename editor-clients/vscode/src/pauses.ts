/** Where no drafts come unasked: this file (until VS Code is closed), its language, the workspace. */
import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import { SETTINGS, type Held } from './protocol';
import { setForUser, setForWorkspace } from './settings';

export type Pause = 'file' | 'language' | 'workspace';

const PATIENCE_MS = 500; // until the server has asked for changed settings

export class Pauses implements vscode.Disposable {
  private readonly files = new Set<string>();
  private held: Held | undefined;
  private client: LanguageClient | undefined;
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  private readonly listening = vscode.window.onDidChangeActiveTextEditor(() => void this.look());

  constructor(private readonly explicit: (scope: vscode.Uri | undefined) => Partial<Held>) {}

  /** What holds for the file that is being edited: what VS Code sets over what the server knows. */
  get settings(): Held | undefined {
    return this.held && { ...this.held, ...this.explicit(vscode.window.activeTextEditor?.document.uri) };
  }

  /** A server is there, or what it knows has changed. */
  async follow(client: LanguageClient): Promise<void> {
    this.client = client;
    await this.look();
  }

  /** The settings of VS Code have changed; the server hears of it as well. */
  reread(): void {
    this.changed.fire();
    setTimeout(() => void this.look(), PATIENCE_MS);
  }

  isFilePaused(document: vscode.TextDocument): boolean {
    return this.files.has(document.uri.toString());
  }

  /** Why drafts do not come unasked in the file that is being edited. */
  get here(): Pause[] {
    const document = vscode.window.activeTextEditor?.document;
    const found: Pause[] = [];
    if (document && this.isFilePaused(document)) found.push('file');
    const settings = this.settings;
    if (document && settings?.languagesOff.includes(document.languageId)) found.push('language');
    if (settings?.automatic === false) found.push('workspace');
    return found;
  }

  /** Pause, or go on. */
  async toggle(what: Pause): Promise<void> {
    const document = vscode.window.activeTextEditor?.document;
    const paused = this.here.includes(what);
    if (what === 'workspace') {
      await setForWorkspace({ automatic: paused });
    } else if (document && what === 'language') {
      const others = (this.settings?.languagesOff ?? []).filter((each) => each !== document.languageId);
      await setForUser('languagesOff', paused ? others : [...others, document.languageId]);
    } else if (document) {
      const uri = document.uri.toString();
      if (paused) this.files.delete(uri);
      else this.files.add(uri);
      this.changed.fire();
    }
  }

  private async look(): Promise<void> {
    const document = vscode.window.activeTextEditor?.document;
    if (!this.client?.isRunning()) return;
    const params = document ? { textDocument: { uri: this.client.code2ProtocolConverter.asUri(document.uri) } } : {};
    this.held = await this.client.sendRequest<Held>(SETTINGS, params).catch(() => this.held);
    this.changed.fire();
  }

  dispose(): void {
    vscode.Disposable.from(this.listening, this.changed).dispose();
  }
}
