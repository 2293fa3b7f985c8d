"""What a member is taken of: the expression before an operator, read backwards from it."""

from __future__ import annotations

from dataclasses import dataclass

from polydraft.completion.brackets import CLOSER_OF
from polydraft.monitors.grammar import Grammar

_OPENER_OF = {closer: opener for opener, closer in CLOSER_OF.items()}
_LONGEST = 240  # code points


@dataclass(frozen=True, slots=True)
class Receiver:
    """`text` stands from `start` on in the head and ends with it.

    `root` is the name that it begins with, "" if it begins with something else; `path` is all of it
    if it is names and operators only, else "".
    """

    text: str
    start: int
    root: str
    path: str


def receiver_before(head: str, grammar: Grammar) -> Receiver | None:
    """The expression that ends where `head` does; None if there is nothing to take a member of.

    That is so behind a number, a keyword, white space and other operators.
    """
    start = _start(head, grammar)
    text = head[start:]
    if not text:
        return None
    word = grammar.name_at_end(text)
    if word and (word[0].isdigit() or word in grammar.words):
        return None
    found = grammar.name.match(text)
    root = found.group() if found else ""
    plain = all(grammar.name.fullmatch(part) for part in _split(text, grammar))
    return Receiver(text, start, root, text if plain else "")


def _split(text: str, grammar: Grammar) -> list[str]:
    for operator in grammar.longest_first:
        text = text.replace(operator, "\0")
    return text.split("\0")


def _start(head: str, grammar: Grammar) -> int:
    """Where the expression begins that ends with `head`; its length if none does."""
    at = len(head)
    least = max(0, at - _LONGEST)
    while at > least:
        char = head[at - 1]
        if char in _OPENER_OF:
            opened = _opener(head, at - 1, least)
            if opened is None:
                return at
            at = opened
            if at == 0 or not _goes_on(head[at - 1], grammar):
                return at
        elif char in "\"'`":
            quoted = head.rfind(char, least, at - 1)
            return quoted if quoted >= 0 else at
        else:
            begin = at
            while begin > least and grammar.goes_on(head[begin - 1]):
                begin -= 1
            if begin == len(head):
                return begin
            at = begin
            operator = next((o for o in grammar.longest_first if head.endswith(o, 0, at)), None)
            if operator is None:
                return at
            before = head[: at - len(operator)].rstrip()
            if not before or not (_goes_on(before[-1], grammar) or before[-1] in "\"'`"):
                return at
            at = len(before)
    return at


def _goes_on(char: str, grammar: Grammar) -> bool:
    return grammar.goes_on(char) or char in _OPENER_OF


def _opener(head: str, at: int, least: int) -> int | None:
    """Where the bracket is opened that closes at `at`."""
    depth = 0
    for index in range(at, least - 1, -1):
        if head[index] in _OPENER_OF:
            depth += 1
        elif head[index] in CLOSER_OF:
            depth -= 1
            if depth == 0:
                return index
    return None
