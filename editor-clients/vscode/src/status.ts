/** The status bar item: which models are at work, how loading goes, how fast drafts come. */
import * as vscode from 'vscode';
import type { Status } from './protocol';

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('polydraft.status', vscode.StatusBarAlignment.Right, 90);
  private status: Status | undefined;
  private milliseconds: number | undefined;
  private trouble = '';

  constructor() {
    this.item.name = 'polydraft';
    this.item.command = 'polydraft.menu';
    this.render();
    this.item.show();
  }

  hear(status: Status): void {
    this.status = status;
    this.trouble = '';
    this.render();
  }

  took(milliseconds: number): void {
    this.milliseconds = milliseconds;
    this.render();
  }

  /** There is no server: `message` says why and what to do. */
  fail(message: string): void {
    this.trouble = message;
    this.render();
  }

  private render(): void {
    const { item, status } = this;
    item.backgroundColor = undefined;
    if (this.trouble || status?.state === 'error') {
      item.text = '$(error) polydraft';
      item.tooltip = this.trouble || status?.message;
      item.backgroundColor = new vscode.ThemeColor('statusBarItem.errorBackground');
    } else if (!status || status.state === 'loading') {
      const progress = status?.progress;
      item.text = `$(loading~spin) polydraft${progress == null ? '' : ` ${Math.floor(100 * progress)} %`}`;
      item.tooltip = status?.message ?? 'polydraft is starting';
    } else {
      const large = status.largeState === 'ready' ? ` + ${status.large}` : '';
      item.text = `$(layers) ${status.model}${large}`;
      const last = this.milliseconds === undefined ? '' : `, first draft after ${Math.round(this.milliseconds)} ms`;
      item.tooltip = `polydraft: ${status.message}${last}${status.largeMessage ? `\n${status.largeMessage}` : ''}`;
    }
    item.accessibilityInformation = { label: `polydraft, ${String(item.tooltip)}`, role: 'button' };
  }

  dispose(): void {
    this.item.dispose();
  }
}
