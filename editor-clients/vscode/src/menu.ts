/** The menu of the status bar item. */
import * as vscode from 'vscode';
import type { Pause, Pauses } from './pauses';
import { setForWorkspace } from './settings';
import type { StatusBar } from './status';

interface Entry extends vscode.QuickPickItem {
  run?: () => unknown;
}

const MOST_DRAFTS = 8;

export async function showMenu(status: StatusBar, pauses: Pauses): Promise<void> {
  const held = pauses.settings;
  const run = (command: string) => () => vscode.commands.executeCommand(command);
  const models = held ? (held.large === 'none' ? held.model : `${held.model} + ${held.large}`) : '';
  const entries: Entry[] = [
    { label: '$(split-horizontal) Drafts side by side', run: run('polydraft.drafts') },
    { label: '$(layers) Models of this workspace…', description: models, run: run('polydraft.pair') },
    { label: '$(list-ordered) Number of drafts…', description: held ? String(held.k) : '', run: run('polydraft.k') },
    { label: 'Drafts while typing', kind: vscode.QuickPickItemKind.Separator },
    ...pauseEntries(pauses),
    { label: 'Server', kind: vscode.QuickPickItemKind.Separator },
    { label: '$(output) Open the log', run: run('polydraft.log') },
    { label: '$(pulse) Run the doctor', description: 'what completion runs on here, and what to do about problems', run: run('polydraft.doctor') },
    { label: '$(debug-restart) Restart the server', run: run('polydraft.restart') },
    { label: '$(gear) Settings', run: () => vscode.commands.executeCommand('workbench.action.openSettings', '@ext:polydraft.polydraft') },
  ];
  const picked = await vscode.window.showQuickPick(entries, { title: 'polydraft', placeHolder: status.summary });
  await picked?.run?.();
}

export async function choosePause(pauses: Pauses): Promise<void> {
  const picked = await vscode.window.showQuickPick(pauseEntries(pauses), { title: 'polydraft: drafts while typing' });
  await picked?.run?.();
}

export async function chooseNumber(pauses: Pauses): Promise<void> {
  const now = pauses.settings?.k;
  const numbers = Array.from({ length: MOST_DRAFTS }, (_, at) => at + 1);
  const entries = numbers.map((k) => ({ label: String(k), description: k === now ? 'now' : '', k }));
  const picked = await vscode.window.showQuickPick(entries, { title: 'polydraft: drafts per request, in this workspace' });
  if (picked) await setForWorkspace({ k: picked.k });
}

function pauseEntries(pauses: Pauses): Entry[] {
  const language = vscode.window.activeTextEditor?.document.languageId;
  const entry = (what: Pause, name: string): Entry => {
    const paused = pauses.here.includes(what);
    return {
      label: `${paused ? '$(debug-start) Resume' : '$(debug-pause) Pause'} for ${name}`,
      run: () => pauses.toggle(what),
    };
  };
  const ofFile = language ? [entry('file', 'this file'), entry('language', `${language}, everywhere`)] : [];
  return [...ofFile, entry('workspace', 'this workspace')];
}
