/** The settings: what the server is told of them, and what the menu changes. */
import * as vscode from 'vscode';

const SECTION = 'polydraft';
const OWN = new Set(['serverPath', 'serverUrl', 'installFrom']); // of this extension, not the server's

/**
 * What the user or the workspace has set. VS Code's defaults are left out: they would stand over
 * what the workspace's polydraft.toml says.
 */
export function explicitSettings(extension: vscode.Extension<unknown>, scope: vscode.Uri | undefined): Record<string, unknown> {
  const configuration = vscode.workspace.getConfiguration(SECTION, scope ?? null);
  const declared = Object.keys(extension.packageJSON.contributes.configuration.properties as object);
  const restricted = new Set(extension.packageJSON.capabilities.untrustedWorkspaces.restrictedConfigurations as string[]);
  const said: Record<string, unknown> = {};
  for (const name of declared.map((each) => each.slice(SECTION.length + 1))) {
    const about = OWN.has(name) ? undefined : configuration.inspect(name);
    // `inspect` tells what an untrusted workspace says as well.
    const isTrusted = vscode.workspace.isTrusted || !restricted.has(`${SECTION}.${name}`);
    const ofWorkspace = isTrusted ? (about?.workspaceFolderValue ?? about?.workspaceValue) : undefined;
    const value = ofWorkspace ?? about?.globalValue;
    if (value !== undefined) said[name] = value;
  }
  return said;
}

/** Set something for the workspace; without one, for the user. */
export async function setForWorkspace(values: Record<string, unknown>): Promise<void> {
  const configuration = vscode.workspace.getConfiguration(SECTION);
  const isOpen = vscode.workspace.workspaceFolders !== undefined;
  const target = isOpen ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global;
  for (const [name, value] of Object.entries(values)) await configuration.update(name, value, target);
}

export async function setForUser(name: string, value: unknown): Promise<void> {
  await vscode.workspace.getConfiguration(SECTION).update(name, value, vscode.ConfigurationTarget.Global);
}

export function ownSetting(name: 'serverPath' | 'serverUrl' | 'installFrom'): string {
  return vscode.workspace.getConfiguration(SECTION).get<string>(name, '').trim();
}
