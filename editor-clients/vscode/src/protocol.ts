/** polydraft's own messages, as docs/editors.md has them. */
import type { Position, Range } from 'vscode-languageclient/node';

export interface Part {
  origin: 'small' | 'large';
  tokens: number;
  end: number; // where the run ends in the draft's text, in UTF-16 units
}

export interface Intervention {
  at: number;
  monitor: string;
  analyser: string;
  grade: string;
  names: string[];
  wanted: string;
  taken: string;
}

/** Accepting a draft replaces `range` by `text`: it begins at the cursor, or before it with indentation that goes. */
export interface Draft {
  id: string;
  text: string;
  range: Range;
  meanLogprob: number | null; // nats per token
  tokenCount: number;
  drafter: string;
  method: string;
  finish: string;
  parts: Part[];
  checked: boolean;
  interventions: Intervention[];
  problems: string[];
}

export interface Stats {
  firstDraftMs: number;
  totalMs: number;
  fromCache: boolean;
}

export interface DraftsParams {
  textDocument: { uri: string };
  position: Position;
  automatic?: boolean;
}

export interface Drafts {
  version: number | null;
  drafts: Draft[];
  stats: Stats;
}

/** The first finished draft of a request that is still being worked on. */
export interface StreamedDraft {
  uri: string;
  version: number;
  draft: Draft;
}

/** What stands for an answer from now on: the large model has looked at it. */
export interface BetterDrafts {
  uri: string;
  version: number;
  drafts: Draft[];
  stats: Stats;
  final: true;
}

/** A model to choose from. */
export interface KnownModel {
  name: string;
  family: string;
  parameters: number | null;
  cached: boolean;
  bytes: number | null; // on the disk, or to download
  largeModels: string[]; // those that can be the large one beside it
}

/** What holds for a document, from whichever layer of settings. */
export interface Held {
  model: string;
  large: string;
  k: number;
  automatic: boolean;
  languagesOff: string[];
}

export interface Status {
  state: 'loading' | 'ready' | 'error';
  message: string;
  model: string;
  progress: number | null;
  root: string | null;
  large: string | null;
  largeState: 'none' | 'loading' | 'ready' | 'error';
  largeMessage: string;
}

export const DRAFTS = 'polydraft/drafts';
export const DRAFT = 'polydraft/draft';
export const STATUS = 'polydraft/status';
export const ACCEPTED = 'polydraft.accepted';
export const MODELS = 'polydraft/models';
export const SETTINGS = 'polydraft/settings';

export const SHOWN = 'textDocument/didShowCompletion';
export const PARTLY_TAKEN = 'textDocument/didPartiallyAcceptCompletion';
export const HIDDEN = 'polydraft/hidden';
