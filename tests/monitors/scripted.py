"""An analyser that answers from a table, or as it is told to fail."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from polydraft.monitors.analysis import (
    FileChange,
    Grade,
    Name,
    Names,
    Problem,
    Question,
    Signature,
)


def closed(*names: str) -> Names:
    return Names(tuple(map(Name, names)), Grade.CLOSED)


def opened(*names: str) -> Names:
    return Names(tuple(map(Name, names)), Grade.OPEN)


NOTHING = Names((), Grade.UNKNOWN)


@dataclass
class Scripted:
    """`table`: what ends before the offset -> the answer; the longest that fits counts."""

    table: Mapping[str, Names] = field(default_factory=dict)
    failure: Exception | None = None
    gate: threading.Event | None = None  # answers wait for it
    asked: list[Question] = field(default_factory=list)
    heard: list[FileChange] = field(default_factory=list)
    closed: bool = False
    known_signatures: tuple[Signature, ...] = ()
    name: str = "scripted"
    languages: frozenset[str] = frozenset({"python"})

    def names(self, question: Question, timeout: float) -> Names:
        self.asked.append(question)
        if self.gate is not None:
            assert self.gate.wait(10)
        if self.failure is not None:
            raise self.failure
        head = question.buffer.text[: question.offset]
        fitting = [end for end in self.table if head.endswith(end)]
        return self.table[max(fitting, key=len)] if fitting else NOTHING

    def signatures(self, question: Question, timeout: float) -> tuple[Signature, ...]:
        self.asked.append(question)
        return self.known_signatures

    def problems(self, question: Question, timeout: float) -> tuple[Problem, ...]:
        return ()

    def files_changed(self, changes: Sequence[FileChange]) -> None:
        self.heard += changes

    def close(self) -> None:
        self.closed = True


class Pieces:
    """A vocabulary of the given pieces, with one special token behind them."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self.specials = {"<end>": len(pieces)}

    def __len__(self) -> int:
        return len(self._pieces) + 1

    def token_bytes(self, index: int) -> bytes:
        return self._pieces[index] if index < len(self._pieces) else b"<end>"

    def encode(self, text: str) -> list[int]:
        """The longest piece first; a byte that no piece begins with is left out."""
        left, found = text.encode(), []
        while left:
            fitting = [piece for piece in self._pieces if piece and left.startswith(piece)]
            longest = max(fitting, key=len, default=left[:1])
            found += [self._pieces.index(longest)] if fitting else []
            left = left[len(longest) :]
        return found

    def ids(self, *pieces: str) -> list[int]:
        return [self._pieces.index(piece.encode("utf-8", "surrogateescape")) for piece in pieces]
