"""What all clients of a process share: the engine's thread, the models, the workspace's context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from polydraft.completion.types import ContextChunk, Request
from polydraft.lsp_server.acceptance_store import Recorder
from polydraft.lsp_server.analysts import MakeAnalyser, no_analyser
from polydraft.lsp_server.completers import CompleterPool, CompleterProvider
from polydraft.lsp_server.documents import Document
from polydraft.lsp_server.ngram_store import NGramStore
from polydraft.lsp_server.worker import Worker
from polydraft.monitors.vocabularies import Vocabularies

IsExcluded = Callable[[Path, Path | None], bool]
"""(path, workspace folder or None): whether the file must stay out; on the engine's thread."""


class Gather(Protocol):
    """Chooses other text for the prompt; called on the engine's thread, once a request.

    `document` is the one being completed (its path is never None here) and `request` what is asked
    about it, still without context. `root` is the workspace folder that it lies in, `others` are
    the other open files and `recent` the files closed of late, the latest used first. `previous`
    is what was chosen for this document last. What is returned must come from no file that
    `is_excluded` names; the `exclude` setting is applied outside.
    """

    def __call__(
        self,
        *,
        request: Request,
        document: Document,
        root: Path | None,
        others: Sequence[Document],
        recent: Sequence[Path],
        previous: tuple[ContextChunk, ...],
    ) -> tuple[ContextChunk, ...]: ...


@dataclass(frozen=True, slots=True)
class Services:
    """What all sessions of a process share."""

    worker: Worker
    pool: CompleterPool
    is_excluded: IsExcluded
    gather: Gather
    ngram_store: NGramStore | None = None  # None: no index outlives its client
    make_analyser: MakeAnalyser = no_analyser
    vocabularies: Vocabularies = field(default_factory=Vocabularies)
    recorder: Recorder | None = None  # None: no outcome of a draft is kept

    def close(self) -> None:
        """Cancel all work and wait for the engine's thread."""
        self.pool.close()
        self.worker.close()
        if self.recorder is not None:
            self.recorder.close()


def create_services(
    provider: CompleterProvider,
    is_excluded: IsExcluded,
    gather: Gather,
    ngram_store: NGramStore | None = None,
    make_analyser: MakeAnalyser = no_analyser,
    recorder: Recorder | None = None,
) -> Services:
    """Start the engine's thread; close what is returned when the last connection has ended."""
    pool = CompleterPool(provider)
    return Services(
        Worker(), pool, is_excluded, gather, ngram_store, make_analyser, recorder=recorder
    )
