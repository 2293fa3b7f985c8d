"""The documents that a client has open, and what of them may enter a prompt or an index."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from polydraft.completion.types import ContextChunk, Request
from polydraft.lsp_server.asks import Ask
from polydraft.lsp_server.documents import Document, with_line_feeds
from polydraft.lsp_server.notebooks import Notebooks
from polydraft.lsp_server.services import Gather, IsExcluded
from polydraft.lsp_server.workspace import Workspaces
from polydraft.lsp_server.workspace_indexer import Accepted, View

_RECENT = 16


class Excluded(Exception):
    """A document that must not enter a prompt."""


class OpenDocuments:
    """`current` are the documents by URI, the latest used last; the mapping is never mutated."""

    def __init__(self, workspaces: Workspaces, is_excluded: IsExcluded, gather: Gather) -> None:
        self.current: Mapping[str, Document] = {}
        self.notebooks = Notebooks()
        self._workspaces = workspaces
        self._is_excluded = is_excluded
        self._gather = gather
        self._last_chosen: dict[str, tuple[ContextChunk, ...]] = {}  # on the engine's thread
        self._recent: tuple[Path, ...] = ()  # of closed documents, the latest first

    def put(self, document: Document) -> None:
        """A document was opened or changed."""
        others = {uri: other for uri, other in self.current.items() if uri != document.uri}
        self.current = {**others, document.uri: document}

    def drop(self, uri: str) -> Document | None:
        """A document was closed."""
        closed = self.current.get(uri)
        if closed is not None and closed.path is not None:
            others = (path for path in self._recent if path != closed.path)
            self._recent = (closed.path, *others)[:_RECENT]
        self.current = {other: each for other, each in self.current.items() if other != uri}
        self._last_chosen.pop(uri, None)
        return closed

    def request(self, ask: Ask) -> Request:
        """What the engine is to be asked, still without text of other files."""
        document = ask.document
        settings = self._workspaces.of(document.home).settings.current
        return Request(
            prefix=with_line_feeds(self._above(document) + document.text[: ask.offset]),
            suffix=with_line_feeds(document.text[ask.offset :]),
            path=_shown_path(document.path, self._workspaces.root_of(document.path)),
            language=document.language,
            k=settings.k if ask.k is None else ask.k,
            multiline=settings.wants_multiline,
            budget=settings.budget,
            drafter=settings.drafter,
            guesser=settings.guesser,
        )

    def whole(self, uri: str) -> str:
        """The prefix and the suffix of whichever request for a document, as it is now."""
        document = self.current.get(uri)
        return "" if document is None else with_line_feeds(self._above(document) + document.text)

    def _above(self, document: Document) -> str:
        """The text that stands before a document: of the cells above, if it is a notebook's."""
        most = self._workspaces.of(document.home).settings.current.max_file_size
        return self.notebooks.before(document, self.current, most)

    def context_adder(self, document: Document) -> Callable[[Request], Request]:
        """What adds other files' text to a request, on the engine's thread.

        It raises `Excluded` if the document itself must not enter a prompt.
        """
        path, root = document.home, self._workspaces.root_of(document.home)
        settings = self._workspaces.of(path).settings.current
        latest_first = reversed(list(self.current.values()))
        others = [other for other in latest_first if other.uri != document.uri]
        recent, last_chosen = self._recent, self._last_chosen

        def allowed(other: Path | None) -> bool:
            return other is not None and not settings.excludes(other, root)

        def add_context(request: Request) -> Request:
            if path is None:
                return request
            if not allowed(path) or self._is_excluded(path, root):
                raise Excluded
            whole = document if document.notebook is None else _as_script(document, request)
            if whole is None:
                return request
            chosen = self._gather(
                request=request,
                document=whole,
                root=root,
                others=[other for other in others if allowed(other.path)],
                recent=[other for other in recent if allowed(other)],
                previous=last_chosen.get(document.uri, ()),
            )
            base = root or Path()
            context = tuple(chunk for chunk in chosen if allowed(base / chunk.path))
            last_chosen[document.uri] = context
            return replace(request, context=context)

        return add_context

    def view(self, root: Path, look: int, accepted: tuple[Accepted, ...]) -> View:
        """What the n-grams of a workspace folder are made of, as it is now."""
        settings = self._workspaces.of(root).settings.current
        documents = {
            document.path: document
            for document in self.current.values()
            if document.path is not None and self._workspaces.root_of(document.path) == root
        }
        return View(documents, lambda path: settings.excludes(path, root), accepted, look)


def _as_script(cell: Document, request: Request) -> Document | None:
    """A notebook, up to the cell's end, as a file beside it; None if its imports are not known."""
    if cell.language != "python" or cell.notebook is None:
        return None
    text = request.prefix + request.suffix
    path = cell.notebook.with_suffix(".py")
    return replace(cell, path=path, text=text, known_line_starts=None)


def _shown_path(path: Path | None, root: Path | None) -> str:
    """How the prompt names the file: relative to its workspace folder."""
    if path is None:
        return ""
    return path.relative_to(root).as_posix() if root is not None else path.name
