"""What the text rules need to know about the place to complete, found once per request.

The end rules and the filters ask the same few questions: what stands on the cursor's line, which
brackets are still open, how the file is indented. `look` answers them from a bounded window, so
that a document of megabytes costs what a small one does.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from polydraft.completion.brackets import (
    CLOSERS,
    is_quote,
    missing_closers,
    open_closers,
    scan,
    stray_closers,
)
from polydraft.completion.types import Finish, Request

WINDOW = 16_000  # code points looked at on either side of the cursor
_TAIL = re.compile(r"[\s)\]}\"'`;,:]*")
_OPENS = re.compile(r"(?:[{(\[]|=>|\bdo|\bthen|\belse)\s*$")
_OPENS_PYTHON = re.compile(r"[{(\[:]\s*$")


@dataclass(frozen=True, slots=True)
class View:
    """The surroundings of the cursor. Lines are given without their line end."""

    language: str
    multiline: bool
    line_may_go_on: bool  # past its end, while a bracket that the draft opened is open
    finish: Finish  # why the draft ended
    line_before: str  # empty on a blank line
    indent: str  # the white space before the cursor on a blank line; drafts count from column 0
    line_after: str
    previous_lines: tuple[str, ...]  # the last three non-blank lines above, nearest last
    next_line: str  # the first non-blank line below
    inside: str  # what the cursor is in: see `polydraft.completion.brackets.Scan.inside`
    quote_closed: bool  # a string that the cursor is in is closed further on
    missing: tuple[str, ...]  # closers that the document lacks, innermost first
    indent_unit: str  # one level of indentation in this file
    newline: str  # "\n" or "\r\n"

    @property
    def on_blank_line(self) -> bool:
        """Whether only white space stands before the cursor on its line."""
        return not self.line_before

    @property
    def tail(self) -> str:
        """The rest of the line if it is nothing but closers and punctuation, else ""."""
        return self.line_after if _TAIL.fullmatch(self.line_after) else ""

    def width(self, line: str) -> int:
        """Columns of white space that `line` begins with."""
        tab = 4 if self.indent_unit == "\t" else len(self.indent_unit)
        return len(leading(line).expandtabs(tab))

    def first_lead(self, line: str) -> str:
        """The white space that a draft is to begin with whose first line is `line`.

        On a blank line it is all of that line's: the draft's own, or what stands there if that can
        not be meant.
        """
        lead = leading(line)
        if not self.on_blank_line:
            return "" if self.line_before[-1].isspace() and lead.strip(" ") == "" else lead
        if self.width(lead) < self.width(self.indent):
            return lead if self._may_outdent(line) else self.indent
        return lead if lead.startswith(self.indent) else self.indent

    def _may_outdent(self, line: str) -> bool:
        """Whether a line shallower than the cursor's may take its place: not in an empty block."""
        above = self.previous_lines[-1] if self.previous_lines else ""
        body = line.lstrip()
        leaves_empty = opens_block(above, self.language) and self.width(line) <= self.width(above)
        return (
            not self.line_after.strip()
            and self.width(line) % self.width(self.indent_unit) == 0
            and (not leaves_empty or body[:1] in CLOSERS)
        )


def leading(line: str) -> str:
    """The white space that `line` begins with."""
    return line[: len(line) - len(line.lstrip())]


def opens_block(line: str, language: str) -> bool:
    """Whether the next line is expected to be deeper than `line`, by its last characters."""
    pattern = _OPENS_PYTHON if language == "python" else _OPENS
    return pattern.search(line) is not None


def to_unix(text: str) -> str:
    """`text` with "\\n" for every line end."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def windows(request: Request, size: int = WINDOW) -> tuple[str, str]:
    """At most `size` code points before and after the cursor, with "\\n" for line ends.

    A cut is made at a line end where there is one.
    """
    before, after = request.prefix[-size:], request.suffix[:size]
    if len(request.prefix) > size:
        before = before[before.find("\n") + 1 :]
    if len(request.suffix) > size:
        end = after.rfind("\n")
        after = after[:end] if end > 0 else after
    if before.endswith("\r") and after.startswith("\n"):
        before = before[:-1]  # a cursor inside of a line end stands before it
    return to_unix(before), to_unix(after)


def look(request: Request, multiline: bool, finish: Finish = Finish.STOP_TOKEN) -> View:
    """Look around the cursor of `request`."""
    before, after = windows(request)
    above, _, line_before = before.rpartition("\n")
    indent = ""
    if line_before.isspace():
        line_before, indent = "", line_before
    line_after, _, below = after.partition("\n")
    previous = [line for line in above.rsplit("\n", 40) if line.strip()]
    next_line = next((line for line in below.split("\n", 40)[:40] if line.strip()), "")
    head = scan(before, request.language)
    rest = scan(after, request.language, head.inside)
    later = stray_closers(rest.events)
    due = open_closers(head.events)[::-1]
    if len(request.suffix) > WINDOW:  # closers of outer blocks stand beyond the window
        later += [closer for closer in due if closer == "}"]
    return View(
        language=request.language,
        multiline=multiline,
        line_may_go_on=(
            request.multiline is None
            and not line_after.strip()
            and _round_or_square(later) <= _round_or_square(due)  # else its closer stands below
        ),
        finish=finish,
        line_before=line_before,
        indent=indent,
        line_after=line_after,
        previous_lines=tuple(previous[-3:]),
        next_line=next_line,
        inside=head.inside,
        quote_closed=_is_closed(head.inside, line_after, rest.events),
        missing=tuple(missing_closers(due, later)),
        indent_unit=indent_unit(f"{before}x{after}"),  # so that a blank cursor line counts
        newline="\r\n" if _uses_crlf(request) else "\n",
    )


def _round_or_square(closers: list[str]) -> int:
    return sum(closer in ")]" for closer in closers)


def _is_closed(inside: str, line_after: str, events: tuple[tuple[int, str], ...]) -> bool:
    if not is_quote(inside):
        return False
    if inside in {'"', "'"}:  # a later quote on the line is as likely to open another string
        return line_after.startswith(inside)
    return bool(events) and events[0][1] == inside


def _uses_crlf(request: Request) -> bool:
    near = request.prefix[-WINDOW:] + request.suffix[:WINDOW]
    return near.count("\r\n") * 2 > near.count("\n")


def indent_unit(text: str) -> str:
    """One level of indentation in `text`: a tab or some spaces; four spaces if nothing tells."""
    tabs = 0
    steps: Counter[int] = Counter()
    last = 0
    for line in text.split("\n"):
        if not line.strip():
            continue
        lead = leading(line)
        if lead.startswith("\t"):
            tabs += 1
            continue
        if 0 < len(lead) - last <= 8:
            steps[len(lead) - last] += 1
        last = len(lead)
    steps.pop(1, None)  # the " *" of block comments
    if tabs > sum(steps.values()):
        return "\t"
    return " " * (steps.most_common(1)[0][0] if steps else 4)
