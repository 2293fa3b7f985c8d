"""Where a draft ends, judged by its text.

Each rule takes the draft's text so far and the `View` of the cursor and returns the offset at
which the draft should be cut, or None while it may go on. The engine asks `TextEnds` after every
token; the filters of `polydraft.completion.postprocess` cut with the same rules, so what the
engine stops at and what the user sees agree. The model's own stop tokens are the engine's matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from polydraft.completion.brackets import CLOSER_OF, CLOSERS, Scan, open_closers, scan
from polydraft.completion.protocols import Decoder
from polydraft.completion.types import Finish, Request
from polydraft.completion.view import View, look, opens_block, to_unix

_CONTINUATIONS = {"python": ("else", "elif", "except", "finally", "case")}
_END_WORDS = {"ruby": ("end",), "lua": ("end",), "julia": ("end",), "elixir": ("end",)}


class EndRule(Protocol):
    """Says why a draft with these token ids is finished, or None if it may go on."""

    def __call__(self, ids: Sequence[int]) -> Finish | None: ...


class TextEnds:
    """The end rule for one request: decodes the draft and applies the rules below."""

    def __init__(self, tokenizer: Decoder, request: Request, multiline: bool) -> None:
        self._decode = tokenizer.decode
        self._view = look(request, multiline)

    def __call__(self, ids: Sequence[int]) -> Finish | None:
        # The last token may end in the middle of a character or of a "\r\n".
        text = to_unix(self._decode(ids).rstrip("\ufffd\r"))
        if line_end(text, self._view) is not None:
            return Finish.LINE
        if closing_bracket(text, self._view)[0] is not None:
            return Finish.BLOCK if self._view.multiline else Finish.LINE
        if block_end(text, self._view) is not None:
            return Finish.BLOCK
        return Finish.BLOCK if repeated_next_line(text, self._view) is not None else None


def line_end(text: str, view: View) -> int | None:
    """Single-line drafts: the first line end, on a blank line the first after visible text.

    If the line may go on, the first one outside of the brackets that the draft opened; a brace that
    opens a block ends the line.
    """
    at = first_line_end(text, view)
    if at is None or not view.line_may_go_on:
        return at
    braces = view.language == "python"  # of dictionaries and sets
    found = scan(text, view.language, view.inside)
    while at >= 0:
        due = open_closers(tuple(event for event in found.events if event[0] < at))
        if not due or (due[-1] == "}" and not braces):
            return at
        at = text.find("\n", at + 1)
    return None


def first_line_end(text: str, view: View) -> int | None:
    """Where the line that a single-line draft began with ends; None for a block."""
    if view.multiline:
        return None
    start = len(text) - len(text.lstrip()) if view.on_blank_line else 0
    at = text.find("\n", start)
    return at if at >= 0 else None


def closing_bracket(text: str, view: View) -> tuple[int | None, int]:
    """The first closer that the document brings already, and how far the draft overruns it.

    A closer that the draft did not open may stand if the document lacks it, or if it repeats what
    follows the cursor and nothing but closers follow on that line: `f(|)` with `a, b):`. The
    second value counts the code points of the rest of the line that were repeated in this way.
    """
    missing = list(view.missing)
    tail = view.tail
    used = 0
    due: list[str] = []
    for at, char in scan(text, view.language, view.inside).events:
        if char in CLOSER_OF:
            due.append(CLOSER_OF[char])
        elif due and due[-1] == char:
            due.pop()
        elif char in CLOSERS and char in missing:
            missing.remove(char)
        elif char not in CLOSERS and not view.quote_closed:
            continue
        else:
            gap = len(tail) - used - len(tail[used:].lstrip())
            if not tail.startswith(char, used + gap):
                return at, used
            used += gap + len(char)
    return None, used


def block_end(text: str, view: View) -> int | None:
    """Multi-line drafts: the end of the last line that belongs to the cursor's block.

    The block is left by a dedent, by the line that closes the block's own bracket, by two blank
    lines, or by a blank line after which a new top-level statement or definition begins.
    """
    if not view.multiline or "\n" not in text:
        return None
    found = scan(text, view.language, view.inside)
    base, may_equal = _floor(text, view)
    end = 0  # of the last visible line
    blanks, seen, deeper, closed = 0, False, False, False
    at = 0
    lines = text.split("\n")
    for index, line in enumerate(lines):
        start, at = at, at + len(line) + 1
        if index == 0 and not view.on_blank_line:
            seen, end = bool(line.strip()), len(line)
            continue
        if not line.strip():
            complete = index < len(lines) - 1
            blanks += complete and not _within(found, start)
            if seen and blanks >= 2:
                return end
            continue
        if closed:
            return end
        width = view.width(line)
        nested = _within(found, start)
        if index == 0 or (not seen and view.on_blank_line):
            width = base  # the cursor's own line
        elif not nested and not _keeps_open(line, width, base, view):
            left = width < base or (width == base and not may_equal)
            fresh = blanks > 0 and width <= base and (base == 0 or deeper)
            if left or fresh:
                return end
        deeper = deeper or width > base
        seen, blanks, end = True, 0, start + len(line)
        closed = not nested and _closes(line, width, base, view) and not _within(found, end)
    return None


def _floor(text: str, view: View) -> tuple[int, bool]:
    """The indentation (columns) of the cursor's block, and whether its lines may be no deeper."""
    first = text.split("\n", 1)[0]
    if not view.on_blank_line:
        header = view.line_before + first
        return view.width(header), not opens_block(header, view.language)
    return view.width(view.first_lead(text.lstrip("\n").split("\n", 1)[0])), True


def _within(found: Scan, at: int) -> bool:
    """Whether the offset `at` lies in a bracket or in a string that the draft opened."""
    if any(first < at <= last for first, last in found.spans):
        return True
    depth = 0
    for position, char in found.events:
        if position >= at:
            break
        if char in CLOSER_OF:
            depth += 1
        elif char in CLOSERS and depth:
            depth -= 1
    return depth > 0


def _keeps_open(line: str, width: int, base: int, view: View) -> bool:
    """Whether a line that is no deeper than the block still belongs to it."""
    word = line.lstrip()
    if word[0] in CLOSERS:
        return True  # `closing_bracket` judges whether it may stand
    if width != base:
        return False
    return _first_word(word) in (
        *_CONTINUATIONS.get(view.language, ()),
        *_END_WORDS.get(view.language, ()),
    )


def _closes(line: str, width: int, base: int, view: View) -> bool:
    """Whether `line` is the one that closes the cursor's block."""
    word = line.lstrip()
    if word[0] in CLOSERS:
        return width < base or (width == base and not view.on_blank_line)
    ends = _END_WORDS.get(view.language, ())
    return width == base and not view.on_blank_line and _first_word(word) in ends


def _first_word(line: str) -> str:
    return line.split(None, 1)[0].rstrip(":({")


def repeated_next_line(text: str, view: View, final: bool = False) -> int | None:
    """The end of the line before a line that equals the next visible line of the document.

    Only whole lines are compared, the last one if the draft is `final`; lines without a letter or
    a digit never count, brackets have a rule of their own.
    """
    wanted = view.next_line.rstrip()
    if not any(char.isalnum() for char in wanted):
        return None
    lines = text.split("\n")
    if not final:
        lines.pop()
    at = 0
    for index, line in enumerate(lines):
        if index == 0 and (not view.on_blank_line or view.line_after.strip()):
            same = view.line_before + line.rstrip() == wanted and not view.line_after.strip()
        elif index == 0:
            same = line.strip() == wanted.lstrip()
        else:
            same = line.rstrip() == wanted
        if same:
            return max(at - 1, 0)
        at += len(line) + 1
    return None
