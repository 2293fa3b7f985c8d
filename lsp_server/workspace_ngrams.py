"""The n-grams of one client's workspace folders: who is indexed when, and whose index serves whom.

A folder's index belongs to one client and serves only documents in that folder, so no workspace's
text tells on another's drafts. Everything here runs on the event loop's thread, but for the slices
that the worker is given (`workspace_indexer.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from polydraft.completion.ngram_index import NGramIndex
from polydraft.completion.protocols import Completer
from polydraft.completion.types import Cancelled
from polydraft.lsp_server.ngram_store import NGramStore
from polydraft.lsp_server.services import IsExcluded
from polydraft.lsp_server.worker import Worker
from polydraft.lsp_server.workspace_indexer import Accepted, View, WorkspaceIndexer

logger = logging.getLogger(__name__)

PAUSE = 1.0  # seconds from an edit, or from a request that cut a slice short, to the next slice
_LOOK_AGAIN = 300.0  # seconds until files are looked at again, if there are edits
_MOST_ACCEPTED = 200

IndexFor = Callable[[Completer], NGramIndex | None]
ViewOf = Callable[[Path, int, tuple[Accepted, ...]], View]
"""(folder, look, accepted drafts) -> a snapshot."""


@dataclass(slots=True)
class _Folder:
    indexer: WorkspaceIndexer | None = None  # for the model in use
    accepted: deque[Accepted] = field(default_factory=lambda: deque(maxlen=_MOST_ACCEPTED))
    look: int = 0
    looked: float = 0.0  # loop time of the last look
    timer: asyncio.TimerHandle | None = None
    job: Future[bool] | None = None
    touched: bool = False  # while the job was under way


class WorkspaceNGrams:
    def __init__(
        self,
        worker: Worker,
        is_excluded: IsExcluded,
        store: NGramStore | None,
        completer: Callable[[Path], Completer | None],
        view_of: ViewOf,
    ) -> None:
        """`completer` gives the model in use in a folder, None until it is loaded."""
        self._worker = worker
        self._is_excluded = is_excluded
        self._store = store
        self._completer = completer
        self._view_of = view_of
        self._folders: dict[Path, _Folder] = {}
        self._serial = 0

    def index_for(self, root: Path | None) -> IndexFor:
        """What gives, on the engine's thread, the index for drafts in this folder."""
        folder = self._folders.get(root) if root is not None else None
        indexer = folder.indexer if folder is not None else None

        def index_for(completer: Completer) -> NGramIndex | None:
            if indexer is None or indexer.completer is not completer:
                return None
            return indexer.index

        return index_for

    def touch(self, root: Path | None) -> None:
        """Something in this folder changed: index it when the engine is idle."""
        if root is None:
            return
        folder = self._folders.get(root)
        if folder is None:
            folder = self._folders[root] = _Folder()
        if folder.job is not None:
            folder.touched = True
        elif folder.timer is None:
            folder.timer = asyncio.get_running_loop().call_later(PAUSE, self._launch, root)

    def accept(self, root: Path | None, path: Path, text: str) -> None:
        """The user took a draft: its text, from the beginning of its line, counts once more."""
        self.touch(root)
        if root is not None:
            self._serial += 1
            self._folders[root].accepted.append(Accepted(self._serial, path, text))

    def forget(self, *roots: Path) -> None:
        """What is excluded has changed (without `roots`: anywhere): begin anew, so that no index
        holds what it must not."""
        for root in [root for root in self._folders if not roots or root in roots]:
            self._end(root)
            self.touch(root)

    def keep_only(self, roots: Sequence[Path]) -> None:
        """Forget all other folders."""
        for root in self._folders.keys() - set(roots):
            self._end(root)

    def close(self) -> None:
        self.keep_only(())

    def _end(self, root: Path) -> None:
        folder = self._folders.pop(root)
        if folder.timer is not None:
            folder.timer.cancel()
        self._worker.cancel((self, root))

    def _launch(self, root: Path) -> None:
        folder, loop = self._folders[root], asyncio.get_running_loop()
        completer = self._completer(root)
        folder.timer = None
        if completer is None:
            return
        if folder.indexer is None or folder.indexer.completer is not completer:
            folder.indexer = WorkspaceIndexer(root, completer, self._is_excluded, self._store)
        if loop.time() - folder.looked >= _LOOK_AGAIN or not folder.look:
            folder.look, folder.looked = folder.look + 1, loop.time()
        view = self._view_of(root, folder.look, tuple(folder.accepted))
        folder.touched = False
        folder.job = self._worker.when_idle((self, root), partial(folder.indexer.step, view))
        folder.job.add_done_callback(partial(self._landed, loop, root, folder))

    def _landed(
        self, loop: asyncio.AbstractEventLoop, root: Path, folder: _Folder, job: Future[bool]
    ) -> None:
        """Called on any thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody is left to index for
            loop.call_soon_threadsafe(self._go_on, root, folder, job)

    def _go_on(self, root: Path, folder: _Folder, job: Future[bool]) -> None:
        if self._folders.get(root) is not folder:
            return
        folder.job = None
        error = CancelledError() if job.cancelled() else job.exception()
        if error is None and job.result():
            self._launch(root)
        elif isinstance(error, (Cancelled, CancelledError)) or folder.touched:
            self.touch(root)
        if error is not None and not isinstance(error, (Cancelled, CancelledError)):
            logger.warning(
                "the n-grams of %s could not be brought up to date", root, exc_info=error
            )
