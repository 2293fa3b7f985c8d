/** The status bar item: which models are at work, how loading goes, how fast drafts come, pauses. */
import * as vscode from 'vscode';
import type { Pause, Pauses } from './pauses';
import type { Status } from './protocol';

const PAUSED: Record<Pause, string> = {
  file: 'paused for this file',
  language: 'paused for this language',
  workspace: 'paused for this workspace',
};

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('polydraft.status', vscode.StatusBarAlignment.Right, 90);
  private readonly statuses = new Map<string | null, Status>(); // of workspace folders
  private milliseconds: number | undefined;
  private trouble = '';
  private readonly failed = new vscode.EventEmitter<string>();
  /** The models of a folder cannot be used any more; says why and what to do. */
  readonly onDidFail = this.failed.event;
  private readonly listening: vscode.Disposable;

  constructor(private readonly pauses: Pauses) {
    this.item.name = 'polydraft';
    this.item.command = 'polydraft.menu';
    this.listening = vscode.Disposable.from(
      pauses.onDidChange(() => this.render()),
      vscode.window.onDidChangeActiveTextEditor(() => this.render()),
    );
    this.render();
    this.item.show();
  }

  /** That of the folder of the file that is being edited. */
  get status(): Status | undefined {
    const document = vscode.window.activeTextEditor?.document;
    const folder = document && vscode.workspace.getWorkspaceFolder(document.uri);
    const root = folder?.uri.toString();
    const of = [...this.statuses.values()];
    return of.find((each) => each.root !== null && vscode.Uri.parse(each.root).toString() === root) ?? of[0];
  }

  get summary(): string {
    return this.trouble || this.status?.message || 'The server is starting.';
  }

  hear(status: Status): void {
    const before = this.statuses.get(status.root);
    this.statuses.set(status.root, status);
    this.trouble = '';
    this.render();
    if (status.state === 'error' && status.message !== before?.message) this.failed.fire(status.message);
  }

  took(milliseconds: number): void {
    this.milliseconds = milliseconds;
    this.render();
  }

  /** A server is being started. */
  starting(): void {
    this.statuses.clear();
    this.trouble = '';
    this.render();
  }

  /** There is no server: `message` says why and what to do. */
  fail(message: string): void {
    this.trouble = message;
    this.render();
  }

  private render(): void {
    const { item, status } = this;
    const pauses = this.pauses.here;
    item.backgroundColor = undefined;
    if (this.trouble || status?.state === 'error') {
      item.text = '$(error) polydraft';
      item.backgroundColor = new vscode.ThemeColor('statusBarItem.errorBackground');
    } else if (!status || status.state === 'loading') {
      const progress = status?.progress;
      item.text = `$(loading~spin) polydraft${progress == null ? '' : ` ${Math.floor(100 * progress)} %`}`;
    } else {
      const icon = pauses.length > 0 ? '$(debug-pause)' : status.largeState === 'loading' ? '$(loading~spin)' : '$(layers)';
      item.text = `${icon} ${pairName(status)}`;
    }
    const lines = [this.summary];
    if (status?.largeState === 'error' && !this.trouble) lines.push(status.largeMessage);
    if (pauses.length > 0) lines.push(`Drafts come only when asked for: ${pauses.map((each) => PAUSED[each]).join(', ')}.`);
    if (this.milliseconds !== undefined) lines.push(`The last first draft took ${Math.round(this.milliseconds)} ms.`);
    item.tooltip = `polydraft\n${lines.join('\n')}`;
    item.accessibilityInformation = { label: `polydraft, ${lines.join(' ')}`, role: 'button' };
  }

  dispose(): void {
    vscode.Disposable.from(this.item, this.listening, this.failed).dispose();
  }
}

/** "qwen2.5-coder-0.5b + 1.5b": what the names have in common is said once. */
export function pairName(status: Status): string {
  const { model, large } = status;
  if (!large || status.largeState === 'error' || status.largeState === 'none') return model;
  const words = model.split('-');
  const rest = large.split('-').slice(words.findIndex((word, at) => large.split('-')[at] !== word));
  return `${model} + ${rest.length > 0 ? rest.join('-') : large}`;
}
