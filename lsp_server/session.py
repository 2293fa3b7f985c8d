"""One client's state, and a request's way through it: nothing here knows the protocol's messages.

A request goes: refused? → draft cache → a call under way that may serve? → model loaded? → anchor
→ the engine's thread (excluded? context, decoding) → draft cache → answer. What may be needed next
is drafted when the engine is idle. All methods run on the event loop's thread; only what is handed
to the worker runs on the engine's, and it works on snapshots.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from lsprotocol.types import MessageType

from polydraft.completion.types import ContextChunk, Draft, Request
from polydraft.lsp_server.asks import Answer, Ask, Trigger
from polydraft.lsp_server.calls import Calls
from polydraft.lsp_server.documents import Document, with_line_feeds
from polydraft.lsp_server.messages import Call, State, Status
from polydraft.lsp_server.services import Services
from polydraft.lsp_server.settings import Settings
from polydraft.lsp_server.shared_model import SharedModel
from polydraft.lsp_server.workspace_indexer import Accepted, View
from polydraft.lsp_server.workspace_ngrams import WorkspaceNGrams
from polydraft.lsp_server.workspace_settings import WorkspaceSettings

logger = logging.getLogger(__name__)

_RECENT = 16
_OFFERED = 64  # drafts that the user may still say to have accepted


class Client(Protocol):
    """What a session tells its editor, always on the event loop's thread."""

    def status(self, status: Status) -> None: ...

    def called(self, call: Call) -> None:
        """Tell what a call of the model cost."""

    def show(self, message: str, kind: MessageType) -> None:
        """Show the user a message."""


class _Excluded(Exception):
    pass


class Session:
    """The state of one client, from `start` to `close`."""

    def __init__(self, client: Client, services: Services) -> None:
        self.settings = WorkspaceSettings(services.pool.provider.is_ready)
        self.documents: Mapping[str, Document] = {}  # by URI, the latest used last; never mutated
        self._client = client
        self._services = services
        self._roots: tuple[Path, ...] = ()
        self._last_chosen: dict[str, tuple[ContextChunk, ...]] = {}  # on the engine's thread
        self._recent: tuple[Path, ...] = ()  # of closed documents, the latest first
        self._told: set[tuple[str, str]] = set()
        self._offered: OrderedDict[str, tuple[Ask, Draft]] = OrderedDict()  # by the drafts' ids
        self._model = SharedModel(services.pool, self._hear_status)
        self._ngrams = WorkspaceNGrams(
            services.worker,
            services.is_excluded,
            services.ngram_store,
            lambda: self._model.completer,
            self._view_of,
        )
        self._calls = Calls(
            services.worker,
            self.settings,
            self._model,
            self._context_adder,
            lambda document: self._ngrams.index_for(self._root_of(document.path)),
            client.called,
        )
        self._started = False
        self._applied: Settings | None = None

    # --- settings and the model ---

    def initialize(self, roots: Sequence[Path], options: object) -> None:
        """Take the workspace folders and the client's options; says what is wrong with them."""
        self._roots = tuple(roots)
        self._warn(self.settings.initialize(self._roots[0] if roots else None, options))

    def start(self) -> None:
        """Begin to load the model; settings that come later are applied as they come."""
        self._started = True
        self._apply_settings()

    def set_roots(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(roots)
        self._ngrams.keep_only(roots)

    def configure(self, raw: object) -> None:
        """Take the editor's settings."""
        self._warn(self.settings.configure(raw))
        self._apply_settings()

    def reread_settings(self) -> None:
        """Read the workspace's file again."""
        self._warn(self.settings.reread())
        self._apply_settings()

    def forget_drafts(self) -> None:
        """Drop all cached drafts, e.g. because other files are excluded now."""
        self._calls.forget_drafts()
        self._ngrams.forget()

    def reload(self) -> Status:
        """Read the settings again and load the model again if that had failed."""
        self.reread_settings()
        if self._started and self._model.want(self.settings.current.model_settings):
            self._calls.forget_anchors()
        return self._model.status

    def _apply_settings(self) -> None:
        settings = self.settings.current
        if not self._started or settings == self._applied:
            return
        self._applied = settings
        self.forget_drafts()
        if self._model.want(settings.model_settings):
            self._calls.forget_anchors()

    # --- documents ---

    def put(self, document: Document) -> None:
        """A document was opened or changed."""
        others = {uri: other for uri, other in self.documents.items() if uri != document.uri}
        self.documents = {**others, document.uri: document}
        self._ngrams.touch(self._root_of(document.path))

    def drop(self, uri: str) -> None:
        """A document was closed: its requests end."""
        closed = self.documents.get(uri)
        if closed is not None and closed.path is not None:
            others = (path for path in self._recent if path != closed.path)
            self._recent = (closed.path, *others)[:_RECENT]
        self.documents = {other: each for other, each in self.documents.items() if other != uri}
        self._calls.drop(uri)
        self._last_chosen.pop(uri, None)
        self._told = {told for told in self._told if told[0] != uri}
        if closed is not None:
            self._ngrams.touch(self._root_of(closed.path))

    def close(self) -> None:
        """The client is gone: everything that it waited for ends."""
        for uri in tuple(self.documents):
            self.drop(uri)
        self._ngrams.close()
        self._model.release()

    # --- requests ---

    async def complete(self, ask: Ask) -> Answer:
        """Answer a request; an older one for the same document is answered without drafts."""
        uri = ask.document.uri
        turn = self._calls.turn(uri)
        self._warn(self.settings.poll())
        self._apply_settings()
        if uri not in self.documents or self._refused(ask):
            self._calls.end(uri)
            return Answer()
        try:
            await asyncio.sleep(0)  # of requests that arrived together, the newest comes forward
            answer = await self._calls.answer(ask, self._request(ask), turn)
            self._remember(ask, answer)
            return answer
        except asyncio.CancelledError:
            self._calls.taken_back(turn, self.documents.get(uri))
            raise
        except _Excluded:
            self._tell_once(
                uri,
                "excluded",
                f"polydraft does not complete {_name(ask.document)}: it is excluded by "
                ".gitignore, .polydraftignore, the exclude setting or the list of secret files.",
                MessageType.Info,
            )
        except Exception as error:
            logger.warning("a completion failed", exc_info=error)
            self._tell_once(
                uri,
                "failed",
                f"polydraft could not complete {_name(ask.document)} "
                f"({type(error).__name__}: {error}). The server goes on; if this happens again, "
                "see its log.",
                MessageType.Warning,
            )
        return Answer()

    def accept(self, draft_id: str) -> None:
        """The user took one of the drafts offered of late."""
        # The first draft may have been streamed before the answer, which it also stands first in.
        offered = self._offered.pop(draft_id.replace(".first", ".0"), None)
        if offered is None:
            return
        ask, draft = offered
        path, before = ask.document.path, with_line_feeds(ask.document.text[: ask.offset])
        if path is not None:
            text = before[before.rfind("\n") + 1 :] + draft.text
            self._ngrams.accept(self._root_of(path), path, text)

    def _remember(self, ask: Ask, answer: Answer) -> None:
        self._offered.update((draft_id, (ask, draft)) for draft_id, draft in answer.drafts)
        while len(self._offered) > _OFFERED:
            self._offered.popitem(last=False)

    def _hear_status(self, status: Status) -> None:
        self._client.status(status)
        if status.state is State.READY:  # what was opened before could not be indexed yet
            for document in self.documents.values():
                self._ngrams.touch(self._root_of(document.path))

    def _view_of(self, root: Path, look: int, accepted: tuple[Accepted, ...]) -> View:
        """What the n-grams of a workspace folder are made of, as it is now."""
        settings = self.settings.current
        documents = {
            document.path: document
            for document in self.documents.values()
            if document.path is not None and self._root_of(document.path) == root
        }
        return View(documents, lambda path: settings.excludes(path, root), accepted, look)

    def _request(self, ask: Ask) -> Request:
        document, settings = ask.document, self.settings.current
        root = self._root_of(document.path)
        return Request(
            prefix=with_line_feeds(document.text[: ask.offset]),
            suffix=with_line_feeds(document.text[ask.offset :]),
            path=_shown_path(document.path, root),
            language=document.language,
            k=settings.k if ask.k is None else ask.k,
            multiline=settings.wants_multiline,
            budget=settings.budget,
            drafter=settings.drafter,
            guesser=settings.guesser,
        )

    def _context_adder(self, document: Document) -> Callable[[Request], Request]:
        """What adds other files' text to a request, on the engine's thread.

        It raises `_Excluded` if the document itself must not enter a prompt.
        """
        path, root = document.path, self._root_of(document.path)
        settings, services = self.settings.current, self._services
        latest_first = reversed(list(self.documents.values()))
        others = [other for other in latest_first if other.uri != document.uri]
        recent, last_chosen = self._recent, self._last_chosen

        def allowed(other: Path | None) -> bool:
            return other is not None and not settings.excludes(other, root)

        def add_context(request: Request) -> Request:
            if path is None:
                return request
            if not allowed(path) or services.is_excluded(path, root):
                raise _Excluded
            chosen = services.gather(
                request=request,
                document=document,
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

    def _refused(self, ask: Ask) -> bool:
        """Whether this request gets no drafts whatever the model would say."""
        document, settings = ask.document, self.settings.current
        if ask.trigger is Trigger.AUTOMATIC and (
            not settings.automatic or document.language in settings.languages_off
        ):
            return True
        if len(document.text) > settings.max_file_size:
            self._tell_once(
                document.uri,
                "too large",
                f"polydraft does not complete {_name(document)}: it has {len(document.text)} "
                f"characters, and the setting max_file_size allows {settings.max_file_size}.",
                MessageType.Info,
            )
            return True
        return document.binary

    def _root_of(self, path: Path | None) -> Path | None:
        """The innermost workspace folder that holds the file."""
        if path is None:
            return None
        holding = [root for root in self._roots if path.is_relative_to(root)]
        return max(holding, key=lambda root: len(root.parts), default=None)

    def _tell_once(self, uri: str, reason: str, message: str, kind: MessageType) -> None:
        """Tell the user one thing about a document once, until it is closed."""
        if (uri, reason) not in self._told:
            self._told.add((uri, reason))
            self._client.show(message, kind)

    def _warn(self, problems: Sequence[str]) -> None:
        for problem in problems:
            self._client.show(f"polydraft: {problem}", MessageType.Warning)


def _name(document: Document) -> str:
    return document.path.name if document.path else "this document"


def _shown_path(path: Path | None, root: Path | None) -> str:
    """How the prompt names the file: relative to its workspace folder."""
    if path is None:
        return ""
    return path.relative_to(root).as_posix() if root is not None else path.name
