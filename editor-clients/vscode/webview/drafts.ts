/** The page of the drafts panel: one card a draft; click it, or press its number. */
import hljs from 'highlight.js/lib/common';
import type { Card, FromPage, ToPage, View } from '../src/view';

declare function acquireVsCodeApi(): { postMessage(message: FromPage): void };

const vscode = acquireVsCodeApi();
const list = document.getElementById('drafts') as HTMLElement;
const said = document.getElementById('said') as HTMLElement;
// Language ids of VS Code that highlight.js calls otherwise.
const NAMES: Record<string, string> = { javascriptreact: 'javascript', typescriptreact: 'typescript', 'objective-c': 'objectivec', shellscript: 'bash' };

window.addEventListener('message', ({ data }: MessageEvent<ToPage>) => {
  if ('show' in data) show(data.show);
  else say(data.say);
});

window.addEventListener('keydown', (event) => {
  const cards = [...list.children] as HTMLElement[];
  const at = cards.indexOf(document.activeElement as HTMLElement);
  if (/^[1-9]$/.test(event.key)) cards[Number(event.key) - 1]?.click();
  else if (event.key === 'Escape') vscode.postMessage({ close: true });
  else if (event.key === 'Enter' || event.key === ' ') cards[Math.max(at, 0)]?.click();
  else if (event.key === 'ArrowRight' || event.key === 'ArrowDown') cards[(at + 1) % cards.length]?.focus();
  else if (event.key === 'ArrowLeft' || event.key === 'ArrowUp') cards[(Math.max(at, 0) + cards.length - 1) % cards.length]?.focus();
  else return;
  event.preventDefault();
});

function say(text: string): void {
  list.replaceChildren();
  said.textContent = text;
}

function show(view: View): void {
  const focused = ([...list.children] as HTMLElement[]).find((card) => card === document.activeElement)?.dataset.id;
  const cards = view.cards.map((card, at) => cardFor(view, card, at + 1));
  list.replaceChildren(...cards);
  said.textContent = view.complete ? 'Press a number or click to insert a draft. Escape goes back.' : 'More drafts are being written …';
  (cards.find((card) => card.dataset.id === focused) ?? cards[0])?.focus({ preventScroll: true });
}

function cardFor(view: View, card: Card, number: number): HTMLElement {
  const lines = card.text.split('\n').length;
  const facts = [
    card.probability === null ? '' : `${Math.round(100 * card.probability)} % a token`,
    `${lines} line${lines > 1 ? 's' : ''}`,
    card.how,
    card.checked ? 'checked by the large model' : '',
  ].filter(Boolean);
  const element = made('article', 'card');
  element.tabIndex = 0;
  element.dataset.id = card.id;
  element.setAttribute('role', 'option');
  element.setAttribute('aria-label', `Draft ${number}: ${card.text}. ${[...facts, ...card.notes].join(', ')}`);
  element.addEventListener('click', () => vscode.postMessage({ insert: card.id }));

  const head = made('header');
  head.append(made('kbd', '', String(number)), made('span', 'facts', facts.join(' · ')));
  if (card.probability !== null) head.append(meter(card.probability));
  element.append(head, code(view, card));
  if (card.pieces.some((piece) => piece.large)) element.append(legend());
  if (card.notes.length > 0) {
    const notes = made('ul', 'notes');
    notes.append(...card.notes.map((note) => made('li', '', note)));
    element.append(notes);
  }
  return element;
}

function meter(value: number): HTMLElement {
  const bar = document.createElement('meter');
  bar.min = 0;
  bar.max = 1;
  bar.value = value;
  bar.title = 'how probable a token of the draft is, on average';
  return bar;
}

function legend(): HTMLElement {
  const line = made('p', 'legend');
  line.append(made('span', 'large', 'underlined'), ' was written by the large model');
  return line;
}

/** The draft behind the text before the cursor, in colours, with the large model's part marked. */
function code(view: View, card: Card): HTMLElement {
  const pre = made('pre');
  const element = made('code');
  const before = view.before.trimStart();
  const language = NAMES[view.language] ?? view.language;
  if (hljs.getLanguage(language)) element.innerHTML = hljs.highlight(before + card.text, { language, ignoreIllegals: true }).value;
  else element.textContent = before + card.text;
  mark(element, 0, before.length, 'before');
  let start = 0;
  for (const piece of card.pieces) {
    if (piece.large) mark(element, before.length + start, before.length + piece.end, 'large');
    start = piece.end;
  }
  pre.append(element);
  return pre;
}

/** Wrap the characters from `start` to `end` of an element's text in spans. */
function mark(element: HTMLElement, start: number, end: number, name: string): void {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const found: [Text, number, number][] = [];
  let at = 0;
  for (let node = walker.nextNode() as Text | null; node; node = walker.nextNode() as Text | null) {
    const from = Math.max(start - at, 0);
    const to = Math.min(end - at, node.length);
    if (from < to) found.push([node, from, to]);
    at += node.length;
  }
  for (const [node, from, to] of found) {
    const range = document.createRange();
    range.setStart(node, from);
    range.setEnd(node, to);
    range.surroundContents(made('span', name));
  }
}

function made(tag: string, name = '', text = ''): HTMLElement {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  return element;
}

vscode.postMessage({ ready: true });
