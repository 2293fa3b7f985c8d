/**
 * Where the server comes from: the user's setting, the workspace's own environment (only if the
 * workspace is trusted: its Python is run), a private environment of this extension, the user's
 * `~/.polydraft` (where the README puts it), or the PATH.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import * as path from 'node:path';
import { promisify } from 'node:util';
import * as vscode from 'vscode';
import { ownSetting } from './settings';

const run = promisify(execFile);
const windows = process.platform === 'win32';
// -I: neither the current folder nor the user's variables decide what `polydraft` is.
const MODULE = ['-I', '-m', 'polydraft.lsp_server'];
const SERVE = ['serve', '--stdio'];

export interface Command {
  command: string;
  before: string[]; // what comes before a subcommand of polydraft
  args: string[];
  from: string; // for people
}

export async function findServer(context: vscode.ExtensionContext): Promise<Command | undefined> {
  const set = ownSetting('serverPath');
  if (set) return program(set, 'the setting polydraft.serverPath');
  for (const python of vscode.workspace.isTrusted ? workspacePythons() : []) {
    if (await hasPolydraft(python)) return moduleOf(python);
  }
  for (const python of [privatePython(context), pythonOf(path.join(homedir(), '.polydraft'))]) {
    if (await hasPolydraft(python)) return moduleOf(python);
  }
  const onPath = executableOnPath('polydraft');
  return onPath ? program(onPath, onPath) : undefined;
}

function program(command: string, from: string): Command {
  return { command, before: [], args: SERVE, from };
}

function moduleOf(python: string): Command {
  return { command: python, before: MODULE, args: [...MODULE, ...SERVE], from: python };
}

/** Create the private environment; the user has consented. `tell` hears of the steps. */
export async function installServer(context: vscode.ExtensionContext, tell: (step: string) => void): Promise<void> {
  const python = privatePython(context);
  const base = executableOnPath(windows ? 'python' : 'python3');
  if (!base) throw new Error('No Python was found on the PATH. Install Python 3.11 or later and try again.');
  tell('making an environment');
  await run(base, ['-m', 'venv', environment(context)]);
  tell('fetching polydraft and PyTorch (some minutes)');
  const source = ownSetting('installFrom') || 'polydraft';
  await run(python, ['-I', '-m', 'pip', 'install', '--quiet', '--upgrade', source], { maxBuffer: 1 << 24 });
}

function environment(context: vscode.ExtensionContext): string {
  return path.join(context.globalStorageUri.fsPath, 'environment');
}

function privatePython(context: vscode.ExtensionContext): string {
  return pythonOf(environment(context));
}

function pythonOf(directory: string): string {
  return windows ? path.join(directory, 'Scripts', 'python.exe') : path.join(directory, 'bin', 'python');
}

function workspacePythons(): string[] {
  const folders = (vscode.workspace.workspaceFolders ?? []).filter((folder) => folder.uri.scheme === 'file');
  return folders.flatMap((folder) => ['.venv', 'venv'].map((name) => pythonOf(path.join(folder.uri.fsPath, name))));
}

async function hasPolydraft(python: string): Promise<boolean> {
  if (!existsSync(python)) return false;
  try {
    await run(python, ['-I', '-c', 'import importlib.util as u, sys; sys.exit(u.find_spec("polydraft.lsp_server") is None)'], {
      timeout: 10_000,
    });
    return true;
  } catch {
    return false;
  }
}

function executableOnPath(name: string): string | undefined {
  const endings = windows ? ['.exe', '.cmd'] : [''];
  // An entry that is not absolute would be taken from the opened folder.
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter(path.isAbsolute);
  return folders.flatMap((folder) => endings.map((ending) => path.join(folder, name + ending))).find(existsSync);
}
