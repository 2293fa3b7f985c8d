"""Chooses text of other files for the prompt: a few chunks that share names with the cursor.

Candidates are files of the same language that are open, were visited of late, or are imported by
the file being edited. Each is cut into chunks of at most 40 lines; chunks are ranked by how many
identifiers they share with the text around the cursor (Jaccard similarity). The choice is
deterministic, and sticky: what was chosen before stays until something clearly better turns up,
because context stands at the head of the prompt, and another context means an empty KV cache.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice
from pathlib import Path

from polydraft.completion.types import ContextChunk
from polydraft.lsp_server.ignore import IgnoreRules

CHUNK_LINES = 40
_LEAST_LINES = 10  # before a chunk is ended at a blank line
_LARGEST_FILE = 200_000  # bytes, or code points of an open document
_LONGEST_LINE = 400  # code points: a file with longer ones is generated or data
_FILES = 8  # of each kind
_IMPORTS = 60  # import statements followed
_LEAST_SCORE = 0.03
_NEAR_DUPLICATE = 0.9
_STICKINESS = 1.5

_IDENTIFIER = re.compile(r"[^\W\d]\w{2,}")
_FAMILIES = (
    frozenset({".py", ".pyi"}),
    frozenset({".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".mts", ".cts", ".vue", ".svelte"}),
    frozenset({".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx"}),
)
_PYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]{0,2000}\)|[^\n]*)"
    r"|import[ \t]+([^\n]+))",
    re.MULTILINE,
)
_SCRIPT_IMPORT = re.compile(
    r"""(?:\bfrom|\bimport|\brequire[ \t]*\(|\bimport[ \t]*\()[ \t]*["'](\.{1,2}/[^"'\n]+)["']"""
)
_SCRIPT_ENDINGS = ("", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".d.ts")


class Origin(IntEnum):
    """Where a chunk comes from, the one that changes least first."""

    IMPORTED = 0
    RECENT = 1
    OPEN = 2


@dataclass(frozen=True, slots=True)
class _Chunk:
    origin: Origin
    path: str
    line: int
    text: str
    names: frozenset[str]

    @property
    def place(self) -> tuple[Origin, str, int]:
        return (self.origin, self.path, self.line)


_Pieces = tuple[tuple[int, str, frozenset[str]], ...]  # first line, text, identifiers


@dataclass(slots=True)
class ChunkCache:
    """Files read before, cut into chunks: by path, with the state they were read in."""

    pieces: dict[Path, tuple[object, _Pieces]] = field(default_factory=dict)

    def get(self, path: Path, state: object) -> _Pieces | None:
        known = self.pieces.get(path)
        return known[1] if known is not None and known[0] == state else None

    def put(self, path: Path, state: object, pieces: _Pieces) -> _Pieces:
        if len(self.pieces) >= 200:
            self.pieces.pop(next(iter(self.pieces)))
        self.pieces[path] = (state, pieces)
        return pieces


def gather(
    root: Path | None,
    path: Path,
    around: str,
    open_documents: Mapping[Path, str],
    recent: Sequence[Path],
    rules: IgnoreRules,
    *,
    previous: Sequence[ContextChunk] = (),
    cache: ChunkCache | None = None,
    limit: int = 4,
) -> tuple[ContextChunk, ...]:
    """At most `limit` chunks for a completion in the file `path`.

    `around` is the text around the cursor (some thousand characters at most are of use).
    `open_documents` are texts as edited, by path; the one under `path`, if there, tells what the
    file imports. `recent` are files visited before, the latest first. Without a `root` nothing is
    read from disk. Nothing that `rules` exclude is used, open or not. `previous` is the last
    choice for this file; pass a `cache` to keep what was read.
    """
    cache = ChunkCache() if cache is None else cache
    wanted = _names(around)
    if not wanted or limit < 1:
        return ()
    source = open_documents.get(path, around)[:_LARGEST_FILE]
    before = {(chunk.path, chunk.text) for chunk in previous}
    scored: list[tuple[float, _Chunk]] = []
    for chunk in _candidates(root, path, source, open_documents, recent, rules, cache):
        score = _jaccard(chunk.names, wanted)
        if chunk.origin is Origin.IMPORTED:
            score *= 1.5
        if (chunk.path, chunk.text) in before:
            score = score * _STICKINESS + _LEAST_SCORE
        if score >= _LEAST_SCORE:
            scored.append((score, chunk))
    scored.sort(key=lambda pair: (-pair[0], pair[1].place))
    chosen: list[_Chunk] = []
    for _, chunk in scored:
        if len(chosen) == limit:
            break
        if all(_jaccard(chunk.names, other.names) <= _NEAR_DUPLICATE for other in chosen):
            chosen.append(chunk)
    chosen.sort(key=lambda chunk: chunk.place)
    return tuple(ContextChunk(chunk.path, chunk.text) for chunk in chosen)


def _candidates(
    root: Path | None,
    path: Path,
    source: str,
    open_documents: Mapping[Path, str],
    recent: Sequence[Path],
    rules: IgnoreRules,
    cache: ChunkCache,
) -> Iterator[_Chunk]:
    """The chunks of all files that may be of use, each file once."""
    seen = {path}
    imported = [] if root is None else list(islice(imports(source, path, root), _FILES))
    others = [other for other in open_documents if _same_family(other, path)]
    visited = [] if root is None else [other for other in recent if _same_family(other, path)]
    groups = (
        # An imported file that is open is edited now and then, but is still wanted first.
        (Origin.IMPORTED, imported),
        (Origin.OPEN, others),
        (Origin.RECENT, visited),
    )
    for origin, paths in groups:
        used = 0
        for other in paths:
            if other in seen or used == _FILES:
                continue
            seen.add(other)
            if rules.is_excluded(other):
                continue
            text = open_documents.get(other)
            pieces = _read(other, cache) if text is None else _cut(other, text, text, cache)
            used += bool(pieces)
            shown = _shown(other, root)
            for line, piece, names in pieces:
                yield _Chunk(origin, shown, line, piece, names)


def _shown(path: Path, root: Path | None) -> str:
    if root is not None and path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return path.name


def _same_family(one: Path, other: Path) -> bool:
    a, b = one.suffix.lower(), other.suffix.lower()
    return a == b or any(a in family and b in family for family in _FAMILIES)


# Reading and cutting ----------------------------------------------------------------------------


def _read(path: Path, cache: ChunkCache) -> _Pieces:
    """The chunks of a file on disk; none if it is large, gone or no text."""
    try:
        status = path.stat()
        if status.st_size > _LARGEST_FILE:
            return ()
        state = (status.st_mtime_ns, status.st_size)
        known = cache.get(path, state)
        if known is not None:
            return known
        with path.open("rb") as file:
            text = file.read(_LARGEST_FILE).decode("utf-8-sig")
    except (OSError, ValueError):
        return ()
    return _cut(path, text, state, cache)


def _cut(path: Path, text: str, state: object, cache: ChunkCache) -> _Pieces:
    known = cache.get(path, state)
    if known is not None:
        return known
    return cache.put(path, state, tuple(_pieces(text)))


def _pieces(text: str) -> Iterator[tuple[int, str, frozenset[str]]]:
    """Cut `text` into chunks, at a blank line where one comes up late enough."""
    if len(text) > _LARGEST_FILE:
        return
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if any(len(line) > _LONGEST_LINE for line in lines):
        return
    start = 0
    while start < len(lines):
        end = min(start + CHUNK_LINES, len(lines))
        if end < len(lines):
            blank = (n for n in range(end, start + _LEAST_LINES, -1) if not lines[n - 1].strip())
            end = next(blank, end)
        piece = "\n".join(lines[start:end]).strip("\n")
        names = _names(piece)
        if names:
            yield start, piece + "\n", names
        start = end


def _names(text: str) -> frozenset[str]:
    return frozenset(_IDENTIFIER.findall(text))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0


# Imports ----------------------------------------------------------------------------------------


def imports(source: str, path: Path, root: Path) -> Iterator[Path]:
    """The files below `root` that `source`, the text of the file `path`, imports.

    Python's import statements and the relative imports of JavaScript and TypeScript are read by
    their form; what is found on disk is given, in order, each file once.
    """
    seen: set[Path] = set()
    options = _script_options if _same_family(path, Path("a.ts")) else _python_options
    for names in options(source, path, root):
        for name in names:
            if name not in seen and name.is_relative_to(root) and os.path.isfile(name):
                seen.add(name)
                yield name
                break


def _script_options(source: str, path: Path, root: Path) -> Iterator[list[Path]]:
    for found in islice(_SCRIPT_IMPORT.finditer(source), _IMPORTS):
        base = _normal(path.parent, found.group(1))
        yield [
            *(base.with_name(base.name + ending) for ending in _SCRIPT_ENDINGS),
            *(base / f"index{ending}" for ending in _SCRIPT_ENDINGS[1:]),
        ]


def _normal(folder: Path, relative: str) -> Path:
    for part in relative.split("/"):
        folder = folder.parent if part == ".." else folder if part in {"", "."} else folder / part
    return folder


def _python_options(source: str, path: Path, root: Path) -> Iterator[list[Path]]:
    if not _same_family(path, Path("a.py")):
        return
    for found in islice(_PYTHON_IMPORT.finditer(source), _IMPORTS):
        module, names, plain = found.groups()
        if plain is not None:
            for name in plain.split("#")[0].split(","):
                yield _modules(name.split(" as ")[0].strip(), path, root)
            continue
        for name in names.strip("()").replace("\n", ",").split(","):
            first = name.split("#")[0].split(" as ")[0].strip()
            dot = "" if module.endswith(".") else "."
            if first.isidentifier():  # a module of the package, or a name in the package's module
                yield _modules(module + dot + first, path, root)
        if module.strip("."):
            yield _modules(module, path, root)


def _modules(name: str, path: Path, root: Path) -> list[Path]:
    """Where the module `name` may be: beside the file, at the root, or in its `src` folder."""
    tail = name.lstrip(".")
    parts = tail.split(".")
    if not all(part.isidentifier() for part in parts):
        return []
    level = len(name) - len(tail)
    if level:
        folder = path.parent
        for _ in range(level - 1):
            folder = folder.parent
        bases = [folder]
    else:
        bases = [root, root / "src", path.parent]
    options: list[Path] = []
    for base in bases:
        module = base.joinpath(*parts)
        options += [module.with_suffix(".py"), module / "__init__.py"]
    return options
