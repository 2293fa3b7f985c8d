"""What the server knows about the files around a document: which stay out, which are of use.

One object for all clients of a process, used on the engine's thread only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polydraft.completion.types import ContextChunk, Request
from polydraft.lsp_server.context import gather
from polydraft.lsp_server.documents import Document
from polydraft.lsp_server.ignore import IgnoreRules
from polydraft.lsp_server.source_files import FileCache


class Surroundings:
    """Implements `services.IsExcluded` and `services.Gather` over the disk."""

    def __init__(self) -> None:
        self._rules: dict[Path | None, IgnoreRules] = {}
        self._files = FileCache()

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
            request,
            {document.path: document.text, **texts},
            recent,
            self._rules_of(root),
            previous=previous,
            files=self._files,
        )

    def _rules_of(self, root: Path | None) -> IgnoreRules:
        if root not in self._rules:
            self._rules[root] = IgnoreRules(root)
        return self._rules[root]
