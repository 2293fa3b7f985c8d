"""What the server knows about the files around a document: which stay out, which are of use.

One object for all clients of a process, used on the engine's thread only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polydraft.completion.types import ContextChunk, Request
from polydraft.lsp_server.context import ChunkCache, gather
from polydraft.lsp_server.documents import Document
from polydraft.lsp_server.ignore import IgnoreRules

_BEFORE, _AFTER = 4000, 2000  # code points of the document that other files are compared with


def around_cursor(request: Request) -> str:
    """The text that other files must have something in common with."""
    return request.prefix[-_BEFORE:] + request.suffix[:_AFTER]


class Surroundings:
    """Implements `services.IsExcluded` and `services.Gather` over the disk."""

    def __init__(self) -> None:
        self._rules: dict[Path | None, IgnoreRules] = {}
        self._chunks = ChunkCache()

    def is_excluded(self, path: Path, root: Path | None) -> bool:
        return self._rules_of(root).is_excluded(path)

    def gather(
        self,
        *,
        request: Request,
        document: Document,
        root: Path | None,
        others: Sequence[Document],
        recent: Sequence[Path],
        previous: tuple[ContextChunk, ...],
    ) -> tuple[ContextChunk, ...]:
        assert document.path is not None
        texts = {other.path: other.text for other in others if other.path is not None}
        return gather(
            root,
            document.path,
            around_cursor(request),
            {document.path: document.text, **texts},
            recent,
            self._rules_of(root),
            previous=previous,
            cache=self._chunks,
        )

    def _rules_of(self, root: Path | None) -> IgnoreRules:
        if root not in self._rules:
            self._rules[root] = IgnoreRules(root)
        return self._rules[root]
