"""Keeps the n-gram index of one workspace folder true to its files and open documents, in slices.

All of it runs on the engine's thread, in idle time. A slice looks at its cancel token before each
piece of text, and what it was at is taken up again by the next. Open documents count as they are
edited, in place of their files; drafts that the user accepted count once more.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from polydraft.completion.ngram_index import NGramIndex
from polydraft.completion.protocols import Completer
from polydraft.completion.types import CancelToken
from polydraft.lsp_server.documents import Document
from polydraft.lsp_server.imports import same_family
from polydraft.lsp_server.ngram_store import KnownText, NGramStore, Stamp, store_key
from polydraft.lsp_server.services import IsExcluded
from polydraft.lsp_server.source_files import LARGEST_FILE, source
from polydraft.lsp_server.workspace_files import nearest_first, read_source

SLICE = 0.1  # seconds: other idle work waits for its end
_PIECE = 16_000  # characters: a few ms of a tokenizer's time between two looks at the cancel token


@dataclass(frozen=True, slots=True)
class Accepted:
    """A draft that the user took, behind the beginning of its line."""

    serial: int
    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class View:
    """A snapshot of what a client knows about one workspace folder.

    `documents` are those in the folder, the latest used last. `excludes` is the user's setting. A
    `look` that has not been seen before asks to look at all files again.
    """

    documents: Mapping[Path, Document]
    excludes: Callable[[Path], bool]
    accepted: tuple[Accepted, ...] = ()
    look: int = 0


class WorkspaceIndexer:
    """Names in the index: a file's path below the folder; with NUL and a serial an accepted draft.

    The folder is walked once a `look`, files near the latest document first. When the index is
    full, no more files are read; open documents drive out what was read first.
    """

    def __init__(
        self, root: Path, completer: Completer, is_excluded: IsExcluded, store: NGramStore | None
    ) -> None:
        self.completer = completer
        self.index = NGramIndex()  # in the completer's ids
        self._root = root
        self._is_excluded = is_excluded
        self._store = store
        self._opened: dict[str, Document] = {}  # the documents whose text is in the index, or not
        self._stamps: dict[str, Stamp] = {}  # of the texts in the index that were read from disk
        self._known: dict[str, KnownText] | None = None  # from an earlier run, until all is walked
        self._again: deque[Path] = deque()  # paths to look at next
        self._walked: frozenset[str] = frozenset()  # suffixes of the files that were looked for
        self._walk: Iterator[Path | None] | None = None
        self._seen: set[str] = set()  # in this walk
        self._look = -1
        self._accepted = 0  # the last one's serial
        self._unsaved = False

    def step(self, view: View, cancel: CancelToken) -> bool:
        """Work for one slice; whether there is more to do. Raises `Cancelled`."""
        until = time.monotonic() + SLICE
        for _ in self._work(view, cancel):
            cancel.check()
            if time.monotonic() >= until:
                return True
        return False

    def _work(self, view: View, cancel: CancelToken) -> Iterator[None]:
        """All there is to do, in small parts; what is done when it is left off stays done."""
        if self._known is None:
            self._known = {} if self._store is None else self._store.load(self._key())
        if view.look != self._look:
            self._look = view.look
            self._opened.clear()  # whether a document is excluded may have changed as well
            self._walked = frozenset()
        yield from self._take_documents(view, cancel)
        yield from self._take_accepted(view, cancel)
        self._begin_walk(view)
        while (path := self._next_path()) is not None or self._walk is not None:
            if path is not None:
                self._take_file(path, view, cancel)
                self._again.popleft()
            yield

    # --- documents and drafts ---

    def _take_documents(self, view: View, cancel: CancelToken) -> Iterator[None]:
        for name in self._opened.keys() - {self._name(path) for path in view.documents}:
            del self._opened[name]
            self._again.append(self._root / name)
        for path, document in view.documents.items():
            name = self._name(path)
            if self._opened.get(name) is document:
                continue
            text = None if self._forbidden(path, view) else source(document.text)
            if text is None:
                self._drop(name)
            else:
                self.index.put(name, self._encode(text, cancel))
                self._stamps.pop(name, None)
            self._opened[name] = document
            yield

    def _take_accepted(self, view: View, cancel: CancelToken) -> Iterator[None]:
        for draft in view.accepted:
            name = self._name(draft.path)
            if draft.serial > self._accepted:
                if name in self.index:
                    ids = self._encode(draft.text, cancel)
                    self.index.put(f"{name}\0{draft.serial}", ids)
                self._accepted = draft.serial
                yield

    # --- files ---

    def _begin_walk(self, view: View) -> None:
        suffixes = self._walked | {path.suffix.lower() for path in view.documents if path.suffix}
        if suffixes == self._walked:
            return
        self._walked = suffixes
        self._seen = set()
        kinds = [Path(f"a{suffix}") for suffix in suffixes]
        self._walk = nearest_first(
            self._root,
            list(view.documents)[-1].parent,
            lambda path: any(same_family(path, kind) for kind in kinds),
            lambda path: self._forbidden(path, view),
        )

    def _next_path(self) -> Path | None:
        """The path to look at, which stays the first of `_again` until that is done."""
        if not self._again and self._walk is not None:
            try:
                path = next(self._walk)
            except StopIteration:
                self._walk = None
                self._end_walk()
            else:
                if path is not None:
                    self._again.append(path)
        return self._again[0] if self._again else None

    def _take_file(self, path: Path, view: View, cancel: CancelToken) -> None:
        name = self._name(path)
        if name in self._opened:
            self._seen.add(name)
            return
        try:
            status = path.stat()
        except (OSError, ValueError):
            status = None
        if status is None or status.st_size > LARGEST_FILE or self._forbidden(path, view):
            self._drop(name)
            return
        stamp = (status.st_mtime_ns, status.st_size)
        self._seen.add(name)
        if name in self.index and self._stamps.get(name) == stamp:
            return
        if name not in self.index and self.index.full:
            return
        known = (self._known or {}).get(name)
        if known is not None and known.stamp == stamp:
            self.index.put(name, known.ids)
        else:
            text = read_source(path)
            if text is None:
                self._drop(name)
                return
            self.index.put(name, self._encode(text, cancel))
            self._unsaved = True
        self._stamps[name] = stamp

    def _end_walk(self) -> None:
        """All files have been seen: forget those that are gone, and keep the rest for next time."""
        for name in list(self.index):
            base, nul, _ = name.partition("\0")
            if base not in (self.index if nul else self._seen | self._opened.keys()):
                self._drop(name)
        self._unsaved |= any(name not in self.index for name in self._known or ())
        if self._store is not None and self._unsaved:
            read = [(name, stamp) for name, stamp in self._stamps.items() if name in self.index]
            texts = {name: KnownText(stamp, self.index[name]) for name, stamp in read}
            self._store.save(self._key(), texts)
        self._unsaved = False
        self._known = {}

    # --- both ---

    def _key(self) -> str:
        return store_key(self._root, self.completer.tokenizer_id)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _forbidden(self, path: Path, view: View) -> bool:
        return view.excludes(path) or self._is_excluded(path, self._root)

    def _drop(self, name: str) -> None:
        """Forget a text; with a file's, the drafts that were accepted in it."""
        self._unsaved |= self._stamps.pop(name, None) is not None
        if name in self.index:
            for each in [each for each in self.index if each.startswith(f"{name}\0")]:
                self.index.drop(each)
            self.index.drop(name)

    def _encode(self, text: str, cancel: CancelToken) -> list[int]:
        ids: list[int] = []
        for piece in _pieces(text):
            cancel.check()
            ids += self.completer.encode(piece)
        return ids


def _pieces(text: str) -> Iterator[str]:
    """Cut at line ends, so that few tokens fall otherwise than in the whole text."""
    start = 0
    while start < len(text):
        end = start + _PIECE
        if end < len(text):
            end = text.rfind("\n", start, end) + 1 or end
        yield text[start:end]
        start = end
