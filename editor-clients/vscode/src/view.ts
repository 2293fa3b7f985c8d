/** What the drafts panel shows, as it goes to its page; the page has no other source. */
import type { Draft } from './protocol';

/** A piece of a draft's text by one model. */
export interface Piece {
  large: boolean;
  end: number; // offset into the text
}

export interface Card {
  id: string;
  text: string;
  probability: number | null; // of a token, on average
  tokens: number;
  how: string; // the drafter
  checked: boolean; // by the large model
  pieces: Piece[];
  notes: string[]; // what static analysis changed or found
}

export interface View {
  file: string;
  language: string;
  before: string; // the line up to the cursor
  cards: Card[];
  complete: boolean;
}

export type ToPage = { show: View } | { say: string };
export type FromPage = { ready: true } | { insert: string } | { close: true };

export function cardOf(draft: Draft): Card {
  return {
    id: draft.id,
    text: draft.text,
    probability: draft.meanLogprob === null ? null : Math.exp(draft.meanLogprob),
    tokens: draft.tokenCount,
    how: draft.drafter,
    checked: draft.checked,
    pieces: draft.parts.map((part) => ({ large: part.origin === 'large', end: part.end })),
    notes: [
      ...draft.interventions.map((each) => `${each.monitor} (${each.analyser}): ${each.taken}${each.wanted ? `, not ${each.wanted}` : ''}`),
      ...draft.problems,
    ],
  };
}
