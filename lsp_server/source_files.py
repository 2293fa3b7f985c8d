"""Other files' text, read once and cut into what context is made of: chunks and outlines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from polydraft.lsp_server.documents import with_line_feeds
from polydraft.lsp_server.imports import language_of
from polydraft.lsp_server.signatures import Definition, outline

CHUNK_LINES = 40
LARGEST_FILE = 200_000  # bytes, or code points of an open document
_LEAST_LINES = 10  # before a chunk is ended at a blank line
_LONGEST_LINE = 400  # code points: a file with longer ones is generated or data
_KEPT = 200  # files

_IDENTIFIER = re.compile(r"[^\W\d]\w{2,}")


@dataclass(frozen=True, slots=True)
class Chunk:
    line: int  # the first one, from 0
    text: str
    names: frozenset[str]


@dataclass(frozen=True)
class SourceFile:
    """The text of a file, or "" where it is no plain source; cut when it is first asked for."""

    path: Path
    text: str

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        return tuple(_cut(self.text))

    @cached_property
    def definitions(self) -> tuple[Definition, ...]:
        """Its outline; () in a language without a grammar."""
        return outline(self.text, language_of(self.path))


@dataclass(slots=True)
class FileCache:
    """Files by path, with the state they were read in: (mtime, size), or the text as edited."""

    _files: dict[Path, tuple[object, SourceFile]] = field(default_factory=dict)

    def of_text(self, path: Path, text: str) -> SourceFile:
        """The file as it stands in the editor."""
        known = self._known(path, text)
        return known or self._keep(path, text, text)

    def on_disk(self, path: Path) -> SourceFile | None:
        """None if it cannot be read, is large or is not UTF-8."""
        try:
            status = path.stat()
            if status.st_size > LARGEST_FILE:
                return None
            state = (status.st_mtime_ns, status.st_size)
            known = self._known(path, state)
            if known is not None:
                return known
            with path.open("rb") as file:
                text = file.read(LARGEST_FILE).decode("utf-8-sig")
        except (OSError, ValueError):
            return None
        return self._keep(path, state, text)

    def _known(self, path: Path, state: object) -> SourceFile | None:
        known = self._files.get(path)
        return known[1] if known is not None and known[0] == state else None

    def _keep(self, path: Path, state: object, text: str) -> SourceFile:
        if len(self._files) >= _KEPT:
            self._files.pop(next(iter(self._files)))
        file = SourceFile(path, source(text) or "")
        self._files[path] = (state, file)
        return file


def identifiers(text: str) -> frozenset[str]:
    """The names of three letters and more."""
    return frozenset(_IDENTIFIER.findall(text))


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard: the share of all names that both hold."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0


def source(text: str) -> str | None:
    """A text with LF line ends; None if it is large, generated or binary."""
    if len(text) > LARGEST_FILE or "\0" in text:
        return None
    text = with_line_feeds(text)
    return None if any(len(line) > _LONGEST_LINE for line in text.split("\n")) else text


def _cut(text: str) -> Iterator[Chunk]:
    """Chunks of `text`, ended at a blank line where one comes up late enough."""
    lines = text.split("\n")
    start = 0
    while start < len(lines):
        end = min(start + CHUNK_LINES, len(lines))
        if end < len(lines):
            blank = (n for n in range(end, start + _LEAST_LINES, -1) if not lines[n - 1].strip())
            end = next(blank, end)
        piece = "\n".join(lines[start:end]).strip("\n")
        names = identifiers(piece)
        if names:
            yield Chunk(start, piece + "\n", names)
        start = end
