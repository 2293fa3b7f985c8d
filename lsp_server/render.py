"""Drafts as an editor shows them: ghost text in the lines around the cursor.

With colour a draft is dim and italic and what it replaces is struck through; without, a draft
stands between ‹ and › and what it replaces between [- and -].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from polydraft.completion.types import Completion, Draft, Finish
from polydraft.lsp_server.documents import with_line_feeds
from polydraft.lsp_server.place import Cursor

if TYPE_CHECKING:
    from polydraft.lsp_server.one_shot import ModelInUse

ABOVE, BELOW = 5, 3  # lines shown around the cursor's
_WIDTH = 160  # characters of a line shown on either side of the cursor
_HIGHLIGHTED = 200_000  # a longer text is shown without colours
_GHOST, _REPLACED, _GUTTER = "dim italic", "strike red", "dim"

_ENDS = {
    Finish.STOP_TOKEN: "the model ended it",
    Finish.LINE: "ends with the line",
    Finish.BLOCK: "ends with the block",
    Finish.LENGTH: "cut at the token limit",
    Finish.DEADLINE: "cut when time ran out",
    Finish.CUT: "cut when better drafts had ended",
    Finish.PLAUSIBILITY: "cut before an implausible token",
}
# Nothing in a file or a draft may steer the terminal or turn the writing around.
_HARMLESS = {code: 0xFFFD for code in (*range(0x80, 0xA0), *range(0x202A, 0x202F))}
_HARMLESS |= {code: 0xFFFD for code in (*range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)}
_HARMLESS |= {code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)} | {
    0x7F: 0x2421
}


@dataclass(frozen=True, slots=True)
class Page:
    """The lines around a cursor, highlighted; `number` is the first one's, counting from 1."""

    number: int
    lines: tuple[Text, ...]
    row: int  # the cursor's line among them
    column: int  # code points before the cursor on it

    @property
    def last_number(self) -> int:
        return self.number + len(self.lines) - 1


def page_at(cursor: Cursor) -> Page:
    """The lines to show, with overlong ones cut around the cursor's column."""
    place, text = cursor.place, with_line_feeds(cursor.document.text)
    lines = text.split("\n")
    row = place.line - 1
    first, last = max(0, row - ABOVE), min(len(lines), row + 1 + BELOW)
    if last == len(lines) and last - 1 > row and not lines[-1]:
        last -= 1  # the end of the last line, not a line
    if len(text) <= _HIGHLIGHTED:
        shown = _highlighted(text, cursor)[first:last]
    else:
        shown = [Text(_harmless(line)) for line in lines[first:last]]
    start = max(0, place.column - 1 - _WIDTH)
    end = place.column - 1 + _WIDTH
    cut = [_cut(line, start, end) for line in shown]
    column = place.column - 1 - start + (1 if start else 0)
    return Page(first + 1, tuple(cut), row - first, column)


def draft_lines(page: Page, draft: Draft, *, marks: bool) -> list[tuple[int | None, Text]]:
    """The page with a draft in it: line numbers (None: a line that the draft adds) and texts.

    `marks`: show by characters, not by styles, what is draft and what is replaced.
    """
    line = page.lines[page.row]
    before, rest = line[: page.column - draft.outdent], line[page.column :]
    replaced, after = rest[: draft.replace], rest[draft.replace :]
    replaced.stylize(_REPLACED)
    if marks and replaced.plain:
        replaced = Text.assemble("[-", replaced, "-]")
    ghost = [Text(each, style=_GHOST) for each in _harmless(draft.text).split("\n")]
    if marks:
        ghost = [Text.assemble("‹", each, "›") if each.plain else each for each in ghost]
    ghost[0] = Text.assemble(before, ghost[0], replaced if len(ghost) == 1 else "")
    if len(ghost) > 1:
        ghost[0].append_text(replaced)
    ghost[-1] = Text.assemble(ghost[-1], after)
    numbered: list[tuple[int | None, Text]] = []
    for index, each in enumerate(page.lines):
        number = page.number + index
        if index != page.row:
            numbered.append((number, each))
            continue
        numbered.append((number, ghost[0]))
        numbered += [(None, extra) for extra in ghost[1:]]
    return numbered


def print_title(console: Console, cursor: Cursor, model: ModelInUse) -> None:
    """Where drafts are wanted, and which model writes them."""
    about = f"{model.name} on {model.device}, {model.weights} weights"
    if model.large is not None:
        large = model.large
        about += f"; checked by {large.name} on {large.device}, {large.weights} weights"
    title = Text.assemble((_harmless(str(cursor.place)), "bold"), (f"  {about}", "dim"))
    console.print(title, soft_wrap=True)


def print_draft(
    console: Console, page: Page, draft: Draft, label: str, *, shown_before: bool = False
) -> None:
    """A header with what is known about the draft, and the draft in its place."""
    tokens = "1 token" if draft.token_count == 1 else f"{draft.token_count} tokens"
    facts = (
        f"mean log-probability {draft.mean_logprob:+.3f} · {tokens} · {draft.drafter}"
        f" · {_ENDS[draft.finish]}"
    )
    if shown_before:
        facts += " · shown above"
    header = Text.assemble((label, "bold cyan"), ("  " + facts, "default"))
    console.print()
    if console.is_terminal:
        console.print(Rule(header, align="left", style="dim", characters="─"))
    else:
        console.print(header, soft_wrap=True)
    if draft.parts:
        console.print(Text(f"   {provenance(draft)}", style="dim"), soft_wrap=True)
    if draft.interventions:
        console.print(Text(f"   {watched(draft)}", style="dim"), soft_wrap=True)
    for problem in draft.problems:
        console.print(Text(f"   ranks lower: {problem}", style="dim"), soft_wrap=True)
    if shown_before:
        return
    numbered = draft_lines(page, draft, marks=not _styled(console))
    width = len(str(page.last_number))
    grid = Table.grid(padding=0)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for number, line in numbered:
        gutter = Text(f"{'' if number is None else number:>{width}} │ ", style=_GUTTER)
        if console.is_terminal:
            grid.add_row(gutter, line)
        else:  # whole lines, whatever their length
            console.print(gutter + line, soft_wrap=True)
    if console.is_terminal:
        console.print(grid)


def provenance(draft: Draft) -> str:
    """Which model wrote what of a pair's draft, and why they took turns."""
    wrote = ", ".join(f"{part.origin.value} {part.tokens}" for part in draft.parts)
    told = [f"wrote: {wrote}", "checked" if draft.checked else "not checked"]
    for event in draft.switches:
        why = f" ({event.statistic} {event.value:.2f}, threshold {event.threshold:.2f})"
        told.append(f"{event.kind.value} at token {event.at}{why if event.statistic else ''}")
    return " · ".join(told)


def watched(draft: Draft) -> str:
    """What static analysis changed in a draft."""
    told = []
    for each in draft.interventions:
        by = f"{each.monitor}, {each.analyser}: {each.names} names, {each.grade}"
        told.append(f"token {each.at}: {each.taken!r} for {each.wanted!r} ({by})")
    return " · ".join(told)


def print_stats(console: Console, model: ModelInUse, completion: Completion) -> None:
    """What the answer cost."""
    stats = completion.stats
    parts = []
    if completion.drafts:
        parts.append(f"first draft after {_seconds(stats.first_draft_s)}")
        parts.append(f"all after {_seconds(stats.total_s)}")
    else:
        parts.append(f"no draft after {_seconds(stats.total_s)}")
    parts.append(f"prompt {stats.prompt_tokens} tokens, {stats.recomputed_tokens} computed")
    large = f", {stats.large_passes} of the large model" if model.large is not None else ""
    parts.append(f"{stats.forward_passes} forward passes{large}")
    if model.large is not None:
        parts.append(f"asked it because of {stats.escalated}" if stats.escalated else "not asked")
    parts.append(f"model loaded in {_seconds(model.load_s)}")
    console.print()
    console.print(Text(" · ".join(parts), style="dim"), soft_wrap=not console.is_terminal)
    if stats.notice:
        console.print(Text(stats.notice, style="yellow"), soft_wrap=True)


def print_completion(
    console: Console, page: Page, completion: Completion, *, streamed: Draft | None = None
) -> None:
    """All drafts; the one that was streamed already is not drawn again."""
    for number, draft in enumerate(completion.drafts, start=1):
        again = streamed is not None and draft.text == streamed.text
        print_draft(console, page, draft, str(number), shown_before=again)
    if not completion.drafts:
        console.print()
        console.print("The model has nothing to add here.")


def _styled(console: Console) -> bool:
    """Whether dim, italic and strike-through are seen at all."""
    return console.color_system is not None and not console.no_color


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _harmless(text: str) -> str:
    return with_line_feeds(text).translate(_HARMLESS)


def _highlighted(text: str, cursor: Cursor) -> list[Text]:
    name = cursor.document.path.name if cursor.document.path else ""
    lexer = Syntax.guess_lexer(name) if name else cursor.document.language or "default"
    syntax = Syntax("", lexer, theme="ansi_dark", background_color="default", tab_size=0)
    plain = _harmless(text)
    coloured = syntax.highlight(plain)
    if coloured.plain.removesuffix("\n") != plain.removesuffix("\n"):
        coloured = Text(plain)  # a lexer that changes the text would shift the columns
    lines = list(coloured.split("\n", allow_blank=True))
    wanted = plain.count("\n") + 1
    return [*lines, *(Text() for _ in range(wanted - len(lines)))][:wanted]


def _cut(line: Text, start: int, end: int) -> Text:
    """The part of an overlong line around the cursor, which leaves its place by one "…"."""
    if not start and len(line) <= end:
        return line
    part = line[start:end]
    head, tail = ("…" if start else ""), ("…" if len(line) > end else "")
    return Text.assemble(head, part, tail)
