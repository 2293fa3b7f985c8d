"""The call whose arguments are being written: what is called, and what it has been given."""

from __future__ import annotations

from dataclasses import dataclass

from polydraft.completion.brackets import CLOSER_OF, CLOSERS, scan
from polydraft.monitors.receiver import receiver_before
from polydraft.monitors.spot import Spot


@dataclass(frozen=True, slots=True)
class OpenCall:
    """`arguments` is the text behind the open parenthesis; `parts` are its pieces between commas.

    `line` is the text of the call's line before it.
    """

    callee: str
    line: str
    arguments: str
    parts: tuple[str, ...]


def open_call(spot: Spot) -> OpenCall | None:
    """The innermost bracket that is open, if it is a call's."""
    head = spot.head
    begin = head.rfind("\n\n")  # a call is seldom longer, and scanning costs
    near = head[begin + 1 :]
    stack: list[int] = []
    for at, char in scan(near, spot.page.language).events:
        if char in CLOSER_OF:
            stack.append(at)
        elif char in CLOSERS and stack:
            stack.pop()
    if not stack or near[stack[-1]] != "(":
        return None
    opened = stack[-1]
    before = near[:opened]
    callee = receiver_before(before, spot.page.grammar)
    line = before[before.rfind("\n") + 1 :].lstrip()
    if callee is None or line.startswith(("def ", "class ", "async def ")):
        return None
    arguments = near[opened + 1 :]
    return OpenCall(callee.text, line, arguments, _parts(arguments, spot.page.language))


def _parts(text: str, language: str) -> tuple[str, ...]:
    """The pieces between the commas that no bracket, string or lambda holds."""
    found = scan(text, language)
    depth, cuts, events = 0, [], dict(found.events)
    hidden = _strings(text, language)
    for at, char in enumerate(text):
        if at in events:
            depth += 1 if char in CLOSER_OF else -1
        elif char == "," and depth == 0 and not hidden[at]:
            cuts.append(at)
    edges = [-1, *cuts, len(text)]
    return tuple(text[a + 1 : b].strip() for a, b in zip(edges, edges[1:], strict=False))


def _strings(text: str, language: str) -> list[bool]:
    """Which characters stand in strings or comments of one line."""
    hidden, quote = [], ""
    for at, char in enumerate(text):
        if quote:
            hidden.append(True)
            if char == quote and text[at - 1] != "\\":
                quote = ""
        else:
            quote = char if char in "\"'" else ""
            hidden.append(bool(quote))
    return hidden
