"""What of other files may enter the prompt: definitions of imported files, and chunks of others.

A definition counts for more where it is imported by name, where the cursor's surroundings name it,
and where the class around the cursor inherits from it. A chunk counts by the names that it shares
with the surroundings (Jaccard similarity).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import islice
from pathlib import Path

from polydraft.completion.types import Request
from polydraft.lsp_server.ignore import IgnoreRules
from polydraft.lsp_server.imports import Import, imports, language_of, same_family
from polydraft.lsp_server.signatures import Definition
from polydraft.lsp_server.source_files import FileCache, SourceFile, identifiers, similarity

_BEFORE, _AFTER = 4000, 2000  # code points around the cursor that other files are compared with
_NEAR_BEFORE, _NEAR_AFTER = 1000, 200
_CLASS_BEFORE = 20_000  # code points in which the class around the cursor is looked for
_IMPORTED = 24  # imported files looked at
_OTHERS = 8  # open files, and as many visited of late
_HOPS = 3  # files that hand a name on before it is defined
_KNOWN_ALREADY = 0.5  # a chunk as similar as this to the text at the cursor says nothing new
_LISTED_LINE = 90  # characters
_CLASS = re.compile(r"^[ \t]*(?:[a-z]+[ \t]+)*class[ \t]+\w+([^:{]{0,400})[:{]", re.MULTILINE)
_PARAMETERS = re.compile(r"\(.*\)")


class Origin(IntEnum):
    """Where a piece comes from, the one that changes least first."""

    IMPORTED = 0
    RECENT = 1
    OPEN = 2


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that may enter the prompt; `texts` are the same at full length and shorter."""

    origin: Origin
    path: str
    line: int  # or the number among the file's definitions
    texts: tuple[str, ...]
    names: frozenset[str]
    score: float

    @property
    def place(self) -> tuple[Origin, str, int]:
        return (self.origin, self.path, self.line)


@dataclass(frozen=True, slots=True)
class Surrounding:
    """The identifiers around the cursor, those close to it, and the bases of the class it is in."""

    around: frozenset[str]
    near: frozenset[str]
    bases: frozenset[str]

    @classmethod
    def of(cls, request: Request) -> Surrounding:
        before, after = request.prefix[-_BEFORE:], request.suffix[:_AFTER]
        heads = _CLASS.findall(request.prefix[-_CLASS_BEFORE:])
        return cls(
            identifiers(before) | identifiers(after),
            identifiers(before[-_NEAR_BEFORE:]) | identifiers(after[:_NEAR_AFTER]),
            identifiers(heads[-1]) if heads else frozenset(),
        )


@dataclass(frozen=True, slots=True)
class Workspace:
    """What may be read around the file `path`: see `context.gather`."""

    root: Path | None
    path: Path
    open_documents: Mapping[Path, str]
    rules: IgnoreRules
    files: FileCache
    _imports: dict[Path, list[Import]] = field(default_factory=dict)

    def read(self, path: Path) -> SourceFile | None:
        """The file as edited, or as it is on disk; None if it must not or cannot be read."""
        if self.rules.is_excluded(path):
            return None
        text = self.open_documents.get(path)
        if text is not None:
            return self.files.of_text(path, text)
        return None if self.root is None else self.files.on_disk(path)

    def imports(self, source: str, path: Path) -> list[Import]:
        """What the file `path` imports, found once."""
        if path not in self._imports:
            found = [] if self.root is None else imports(source, path, self.root)
            self._imports[path] = found
        return self._imports[path]

    def shown(self, path: Path) -> str:
        if self.root is not None and path.is_relative_to(self.root):
            return path.relative_to(self.root).as_posix()
        return path.name


def candidates(
    workspace: Workspace, source: str, recent: Sequence[Path], here: Surrounding
) -> Iterator[Piece]:
    """Pieces of all files that may be of use to `source`, the text of the file edited."""
    asked: dict[Path, set[str]] = {}  # the names imported, by the file that defines them
    for each in islice(workspace.imports(source, workspace.path), _IMPORTED):
        homes = list(_homes(workspace, each, _HOPS))
        if not homes:  # the whole file is imported, or the name is half typed
            asked.setdefault(each.path, set())
        for home, name in homes:
            asked.setdefault(home, set()).add(name)
    for path, names in asked.items():
        file = workspace.read(path)
        if file is not None and language_of(path):
            yield from _definitions_of(file, workspace.shown(path), names, here)
        elif file is not None:
            yield from _chunks_of(file, workspace.shown(path), Origin.IMPORTED, here)
    yield from _chunks(workspace, recent, {workspace.path, *asked}, here)


# Definitions ------------------------------------------------------------------------------------


def _homes(workspace: Workspace, wanted: Import, hops: int) -> Iterator[tuple[Path, str]]:
    """(file, name) for each of the names wanted, through the files that only hand them on."""
    file = workspace.read(wanted.path) if wanted.names else None
    if file is None:
        return
    defined = {definition.name for definition in file.definitions}
    yield from ((wanted.path, name) for name in wanted.names if name in defined)
    missing = [name for name in wanted.names if name not in defined]
    for inner in workspace.imports(file.text, wanted.path) if missing and hops else ():
        names = [name for name in missing if name in inner.names or not inner.names]
        yield from _homes(workspace, Import(inner.path, tuple(names)), hops - 1)


def _definitions_of(
    file: SourceFile, shown: str, asked: set[str], here: Surrounding
) -> Iterator[Piece]:
    """What a file defines and there is reason to show; `asked` are the names imported from it."""
    for number, definition in enumerate(file.definitions):
        name = definition.name
        if definition.private and name not in asked:
            continue
        inherited = name in here.bases
        reason = (1.0 if inherited else 0.0) + (0.5 if name in asked else 0.0)
        reason += 0.5 if name in here.near else 0.0
        if not reason:
            continue
        known = identifiers(definition.text())
        score = reason + similarity(known, here.around) + (0.3 if definition.members else 0.0)
        yield Piece(Origin.IMPORTED, shown, number, _texts(definition, inherited), known, score)


def _texts(definition: Definition, inherited: bool) -> tuple[str, ...]:
    """The definition as it is, without the parameters of its methods, and with names alone.

    Members that are private by convention are for classes that inherit them.
    """
    members = tuple(each for each in definition.members if inherited or not each.private)
    if not members:
        bare = replace(definition, members=(), head=definition.head + _closed(definition))
        return (replace(bare, end="").text(),)
    full = replace(definition, members=members)
    short = replace(full, members=tuple(map(_shortened, members)))
    return full.text(), short.text(), replace(full, members=tuple(_listed(members))).text()


def _shortened(member: Definition) -> Definition:
    """A method without parameters, a constructor without what it sets."""
    head = _PARAMETERS.sub("(...)", member.head) + _closed(member)
    return replace(member, head=head, members=(), end="")


def _listed(members: Sequence[Definition]) -> Iterator[Definition]:
    """Lines of names only, for a type too large to show its members one by one."""
    names = (f"{each.name}()" if "(" in each.head else each.name for each in members)
    for line in textwrap.wrap(", ".join(names), _LISTED_LINE):
        yield Definition("", line)


def _closed(definition: Definition) -> str:
    """What ends the head of a definition whose members are left out."""
    ends = {":": " ...", "{": " }"}
    return ends.get(definition.head[-1:], "") if definition.members or definition.end else ""


# Chunks -----------------------------------------------------------------------------------------


def _chunks(
    workspace: Workspace, recent: Sequence[Path], seen: set[Path], here: Surrounding
) -> Iterator[Piece]:
    """Chunks of open files and of those visited of late, each file once."""
    for origin, paths in ((Origin.OPEN, workspace.open_documents), (Origin.RECENT, recent)):
        used = 0
        for path in paths:
            if path in seen or used == _OTHERS or not same_family(path, workspace.path):
                continue
            seen.add(path)
            file = workspace.read(path)
            if file is not None and file.chunks:
                used += 1
                yield from _chunks_of(file, workspace.shown(path), origin, here)


def _chunks_of(file: SourceFile, shown: str, origin: Origin, here: Surrounding) -> Iterator[Piece]:
    for chunk in file.chunks:
        score = similarity(chunk.names, here.around)
        if score <= _KNOWN_ALREADY:
            yield Piece(origin, shown, chunk.line, (chunk.text,), chunk.names, score)
