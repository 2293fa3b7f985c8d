"""From the model's text to what the user sees: named filters, composed in `FILTERS`.

A filter is a pure function `(text, view) -> text | None`; None drops the draft. Line ends are
"\\n" until the last filter, and on a blank line drafts begin with all of its white space, also
with what stands before the cursor. Where a draft ends is decided by the rules of
`polydraft.completion.ends`: several filters only cut there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from os.path import commonprefix

from polydraft.completion.brackets import CLOSERS, first_open, open_closers, scan
from polydraft.completion.ends import (
    block_end,
    closing_bracket,
    first_line_end,
    line_end,
    repeated_next_line,
)
from polydraft.completion.syntax import needs_multiline
from polydraft.completion.types import Finish, Request
from polydraft.completion.view import View, leading, look, to_unix

Filter = Callable[[str, View], "str | None"]

_CUT_SHORT = frozenset({Finish.LENGTH, Finish.DEADLINE, Finish.CUT})
_LOOP = re.compile(r"(?s)(.{2,24}?)\1{4,}.{0,24}\Z")
_LOOP_CHARS = 24  # a loop shorter than this may be a list of equal values


@dataclass(frozen=True, slots=True)
class Finished:
    """Text to insert at the cursor, in place of the next `replace` code points of the suffix and
    of the last `outdent` of the prefix."""

    text: str
    replace: int
    outdent: int = 0


def incomplete_utf8(text: str, view: View) -> str | None:
    """Cut at the first character that did not decode: the last token may hold half of one."""
    return text.split("\ufffd", 1)[0]


def unix_line_ends(text: str, view: View) -> str | None:
    return to_unix(text.removesuffix("\r"))


def leading_blank_lines(text: str, view: View) -> str | None:
    """Begin on the cursor's line if it is blank, else at most on the next one."""
    body = text.lstrip(" \t\n")
    skipped = text[: len(text) - len(body)]
    if "\n" not in skipped:
        return text
    lead = skipped.rpartition("\n")[2]
    return lead + body if view.on_blank_line else f"\n{lead}{body}"


def single_line(text: str, view: View) -> str | None:
    at = line_end(text, view)
    return text if at is None else text[:at]


def indentation(text: str, view: View) -> str | None:
    """Indent as the file does, and no deeper or shallower than a line can be there."""
    first, *rest = text.split("\n")
    if not view.inside:
        unit = _draft_unit(rest)
        rest = [_with_unit(line, unit, view) for line in rest]
        if view.on_blank_line:
            first = _with_unit(first, _draft_unit([first, *rest]), view)
    lead = leading(first)
    first = view.first_lead(first) + first[len(lead) :]
    return "\n".join([first, *rest])


def _draft_unit(lines: list[str]) -> int:
    """Spaces in one level of the draft's indentation: its shallowest, unless that is odd."""
    widths = [len(line) - len(line.lstrip(" ")) for line in lines if line.strip(" ")]
    least = min((width for width in widths if width), default=4)
    return least if least in {2, 3, 4, 8} else 4


def _with_unit(line: str, unit: int, view: View) -> str:
    lead = leading(line)
    body = line[len(lead) :]
    if view.indent_unit == "\t" and " " in lead:
        columns = len(lead.expandtabs(unit))
        return "\t" * (columns // unit) + " " * (columns % unit) + body
    if view.indent_unit != "\t" and "\t" in lead:
        return lead.replace("\t", view.indent_unit) + body
    return line


def bracket_balance(text: str, view: View) -> str | None:
    """Cut before a closer that the document brings already."""
    at, _ = closing_bracket(text, view)
    return text if at is None else text[:at]


def block_close(text: str, view: View) -> str | None:
    """Cut where the cursor's block is left."""
    at = block_end(text, view)
    return text if at is None else text[:at]


def open_call(text: str, view: View) -> str | None:
    """Without the call or the index that a draft was cut in: half of its content misleads."""
    if view.finish is not Finish.CUT:
        return text
    at = first_open(scan(text, view.language, view.inside).events)
    if at is None or not (text[at - 1 : at] in CLOSERS or _is_word(text[at - 1 : at])):
        return text
    return text[:at]


def next_line_duplicate(text: str, view: View) -> str | None:
    """Cut before a line that stands below the cursor already."""
    at = repeated_next_line(text, view, final=True)
    return text if at is None else text[:at]


def repetition(text: str, view: View) -> str | None:
    """Keep the first turn of a loop: of up to four lines three times, or of a short string."""
    lines = text.split("\n")
    for period in range(1, 5):
        for start in range(len(lines) - 3 * period + 1):
            turn = lines[start : start + period]
            if any(map(_says_something, turn)) and all(
                lines[start + n * period : start + (n + 1) * period] == turn for n in (1, 2)
            ):
                return "\n".join(lines[: start + period])
    # A line that stands above the cursor counts: "x" and then "x" twice more is a loop as well.
    above = [line.strip() for line in view.previous_lines]
    first = [(view.line_before + line if n == 0 else line).strip() for n, line in enumerate(lines)]
    first = [line for line in first if line][:2]
    if first and _says_something(first[0]):
        if above[-2:] == [first[0]] * 2:
            return None
        if above[-1:] == first[:1] and first == first[:1] * 2:
            return None
    loop = _LOOP.search(text)
    if loop and len(loop.group()) >= _LOOP_CHARS and _says_something(loop.group(1)):
        return text[: loop.end(1)]
    return text


def _says_something(line: str) -> bool:
    return any(char.isalnum() for char in line)


def half_line(text: str, view: View) -> str | None:
    """Whole lines only, if the draft was cut short behind at least one of them.

    Of a statement over several lines only the first: half of its brackets' content helps nobody.
    """
    if view.finish not in _CUT_SHORT:
        return text
    if not view.multiline:
        return text[: first_line_end(text, view)]
    whole, line_break, _ = text.rpartition("\n")
    return whole if line_break and whole.strip() else text


def suffix_overlap(text: str, view: View) -> str | None:
    """Cut the end of the draft if it repeats what follows the cursor on its line."""
    _, used = closing_bracket(text, view)
    for rest in (view.line_after, view.line_after[used:]):
        for size in range(min(len(rest), len(text)), 0, -1):
            if text.endswith(rest[:size]) and _is_overlap(text, rest, size, view):
                return text[:-size]
    return text


def _is_overlap(text: str, rest: str, size: int, view: View) -> bool:
    """Whether the shared piece is one the model meant to repeat, and may go without harm."""
    piece, kept = rest[:size], text[:-size]
    if not piece.strip():
        return False
    if size < len(rest.rstrip()) and _says_something(piece):
        # A few letters may be equal by chance: the piece must begin and end at a word's border.
        inside_left = _is_word(piece[0]) and _is_word(kept[-1:] or view.line_before[-1:])
        inside_right = _is_word(piece[-1]) and _is_word(rest[size : size + 1])
        if (size < 3 and kept) or inside_left or inside_right:
            return False
    before = scan(text, view.language, view.inside)
    after = scan(kept, view.language, view.inside)
    return len(open_closers(after.events)) <= len(open_closers(before.events))


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def trailing_whitespace(text: str, view: View) -> str | None:
    """Strip the ends of lines; the draft's own end keeps a space that the suffix lacks."""
    *whole, last = text.split("\n")
    whole = [line.rstrip() for line in whole]
    if not view.line_after.strip():
        return "\n".join([*whole, last]).rstrip()
    if view.line_after[:1].isspace():
        last = last.rstrip()
    return "\n".join([*whole, last])


def not_in_suffix(text: str, view: View) -> str | None:
    """Drop a draft without visible text, and one that only says what follows anyway."""
    key = visible_key(text)
    if not key or key == visible_key(view.line_after):
        return None
    if view.on_blank_line and not view.line_after.strip() and key == visible_key(view.next_line):
        return None
    return text


def line_ends(text: str, view: View) -> str | None:
    """Line ends as the document has them."""
    return text.replace("\n", view.newline)


FILTERS: tuple[Filter, ...] = (
    incomplete_utf8,
    unix_line_ends,
    leading_blank_lines,
    single_line,
    indentation,
    bracket_balance,
    block_close,
    half_line,
    open_call,
    next_line_duplicate,
    repetition,
    suffix_overlap,
    trailing_whitespace,
    not_in_suffix,
    line_ends,
)


def finish_text(
    text: str, request: Request, finish: Finish, *, view: View | None = None
) -> Finished | None:
    """Make `text`, as decoded, fit for the editor; None if nothing is left worth showing.

    Pass the `view` of an earlier draft of the same request to save looking again.
    """
    view = look(request, needs_multiline(request)) if view is None else view
    view = replace(view, finish=finish)
    for step in FILTERS:
        result = step(text, view)
        if not result:
            return None
        text = result
    replaced = closing_bracket(to_unix(text), view)[1]
    shared = len(commonprefix([text, view.indent]))
    return Finished(text[shared:], replaced, len(view.indent) - shared)


def visible_key(text: str) -> str:
    """A key under which drafts that look alike are equal: runs of white space count as one."""
    return " ".join(text.split())
