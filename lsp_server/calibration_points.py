"""Places in a workspace's own files at which models are measured: the rest of a line is the truth.

Deterministic from the seed, one place of each file before the next of any. Only files that may
enter a prompt are opened.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from polydraft.lsp_server.place import language_of
from polydraft.lsp_server.workspace_files import nearest_first, read_source

_PROSE = frozenset({"", "markdown", "json", "yaml", "toml", "html"})  # text and data, no code
_PER_FILE = 20
_LONGEST_LINE = 100
_LEAST_TRUTH = 3  # letters and digits
_START = re.compile(r"(?<![\w])[\w\"']|(?<=[.(])\w")  # where a name, number or string begins
_COMMENT = re.compile(r"\s*(#|//|/\*|\*|--|\"\"\"|''')")


@dataclass(frozen=True, slots=True)
class Point:
    path: Path
    name: str  # the file's path below the workspace, a hash of its text, the offset
    language: str
    prefix: str
    suffix: str  # behind the truth
    truth: str


def points(
    root: Path,
    count: int,
    seed: int,
    refuse: Callable[[Path], object],
    languages_off: tuple[str, ...] = (),
) -> list[Point]:
    """At most `count`; `refuse` gives something where a file must not be read."""

    def wanted(path: Path) -> bool:
        return language_of(path) not in (*_PROSE, *languages_off)

    walk = nearest_first(root, root, wanted, lambda path: bool(refuse(path)))
    paths = sorted(path for path in walk if path is not None)
    random.Random(seed).shuffle(paths)
    found: list[Point] = []
    running = [_in_file(root, path, seed, refuse) for path in paths]
    while running and len(found) < count:
        still = []
        for each in running:
            point = next(each, None)
            if point is not None and len(found) < count:
                found.append(point)
                still.append(each)
        running = still
    return found


def _in_file(
    root: Path, path: Path, seed: int, refuse: Callable[[Path], object]
) -> Iterator[Point]:
    if refuse(path):
        return
    text = read_source(path)
    if text is None:
        return
    relative = path.relative_to(root).as_posix()
    chooser = random.Random(f"{seed} {relative}")
    lines = list(_lines(text))
    chooser.shuffle(lines)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    for start, end in lines[:_PER_FILE]:
        line = text[start:end]
        offset = start + chooser.choice(_places(line))
        yield Point(
            path, f"{relative}:{digest}:{offset}", language_of(path),
            text[:offset], text[end:], text[offset:end],
        )  # fmt: skip


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """[start, end) of the lines of code that have a place."""
    start = 0
    for line in text.split("\n"):
        content = line.rstrip()
        if len(content) <= _LONGEST_LINE and not _COMMENT.match(content) and _places(content):
            yield start, start + len(content)
        start += len(line) + 1


def _places(line: str) -> list[int]:
    return [
        found.start()
        for found in _START.finditer(line)
        if sum(map(str.isalnum, line[found.start() :])) >= _LEAST_TRUTH
    ]
