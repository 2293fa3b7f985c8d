/** Choosing the models of a workspace: one that drafts, and perhaps a larger one beside it. */
import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import { MODELS, type Held, type KnownModel } from './protocol';
import { setForWorkspace } from './settings';

const ALONE = 'none';

interface Choice extends vscode.QuickPickItem {
  name: string;
}

export async function choosePair(client: LanguageClient, held: Held | undefined): Promise<void> {
  const { models } = await client.sendRequest<{ models: KnownModel[] }>(MODELS);
  const small = await pick(
    'Models of this workspace (1 of 2): the model that drafts',
    models.map((model) => choice(model, held?.model)),
  );
  if (!small) return;
  const partners = models.filter((model) => models.find((each) => each.name === small)?.largeModels.includes(model.name));
  const alone: Choice = { name: ALONE, label: 'No larger model', description: held?.large === ALONE ? 'now' : '' };
  const large = await pick('Models of this workspace (2 of 2): a larger one, asked where the first is unsure', [
    alone,
    ...partners.map((model) => choice(model, held?.large)),
  ]);
  if (large) await setForWorkspace({ model: small, large });
}

async function pick(title: string, choices: Choice[]): Promise<string | undefined> {
  return (await vscode.window.showQuickPick(choices, { title, matchOnDescription: true }))?.name;
}

function choice(model: KnownModel, now: string | undefined): Choice {
  const size = model.parameters === null ? '' : `${(model.parameters / 1e9).toFixed(1)} B parameters`;
  const gigabytes = model.bytes === null ? '' : ` (${(model.bytes / 1e9).toFixed(1)} GB)`;
  const where = model.cached ? 'on this machine' : `$(cloud-download) will be downloaded${gigabytes}`;
  return { name: model.name, label: model.name, description: model.name === now ? 'now' : '', detail: [size, where].filter(Boolean).join(', ') };
}
