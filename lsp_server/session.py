"""One client's state, and a request's way through it: nothing here knows the protocol's messages.

A request goes: refused? → draft cache → a call under way that may serve? → model loaded? → anchor
→ the engine's thread (excluded? context, decoding) → draft cache → answer. What may be needed next
is drafted when the engine is idle. All methods run on the event loop's thread; only what is handed
to the worker runs on the engine's, and it works on snapshots.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lsprotocol.types import MessageType, NotebookDocument, NotebookDocumentCellChanges

from polydraft.completion.protocols import Completer
from polydraft.lsp_server.analysts import Analysts
from polydraft.lsp_server.asks import Answer, Ask, Trigger
from polydraft.lsp_server.calls import Calls
from polydraft.lsp_server.documents import Document, with_line_feeds
from polydraft.lsp_server.event_loop import later
from polydraft.lsp_server.messages import Call, State, Status
from polydraft.lsp_server.model_pair import Voice
from polydraft.lsp_server.offers import Offers
from polydraft.lsp_server.onlookers import Onlooker
from polydraft.lsp_server.open_documents import Excluded, OpenDocuments
from polydraft.lsp_server.services import Services
from polydraft.lsp_server.settings import Settings
from polydraft.lsp_server.turns import Asked
from polydraft.lsp_server.workspace import Folder, Workspace, Workspaces
from polydraft.lsp_server.workspace_ngrams import WorkspaceNGrams
from polydraft.monitors.analysis import Changed, FileChange
from polydraft.monitors.grammar import NAMES_FOLLOW

if TYPE_CHECKING:  # it imports torch
    from polydraft.monitors.monitoring import DocumentMonitoring

logger = logging.getLogger(__name__)

_EVERYWHERE = ""  # in place of a document's URI


class Client(Protocol):
    """What a session tells its editor, always on the event loop's thread."""

    def status(self, status: Status) -> None: ...

    def called(self, call: Call) -> None:
        """Tell what a call of the model cost."""

    def show(self, message: str, kind: MessageType) -> None:
        """Show the user a message."""


class Session:
    """The state of one client, from `start` to `close`."""

    def __init__(self, client: Client, services: Services) -> None:
        voice = Voice(self._hear_status, self._hear_trouble, self._hear_joined)
        self.workspaces = Workspaces(services.pool, voice)
        self._client = client
        self._open = OpenDocuments(self.workspaces, services.is_excluded, services.gather)
        self._told: set[tuple[str, str]] = set()
        self._on_disk: set[str] = set()  # the URIs of open documents that have a file
        self._offers = Offers()
        self.onlooker = Onlooker(
            self.workspaces, self._offers, lambda: self.documents, services.recorder
        )
        self._ngrams = WorkspaceNGrams(
            services.worker,
            services.is_excluded,
            services.ngram_store,
            self._indexing_model,
            self._open.view,
        )
        self._analysts = Analysts(
            services.make_analyser, services.vocabularies, self._hear_analysts
        )
        self._calls = Calls(
            services.worker,
            self.workspaces,
            self._open.context_adder,
            lambda document: self._ngrams.index_for(self.workspaces.root_of(document.home)),
            self._monitoring_for,
            client.called,
            self._offers.add,
        )

    # --- settings and models ---

    def initialize(self, folders: Sequence[Folder], options: object) -> None:
        """Take the workspace folders and the client's options; says what is wrong with them."""
        self._loop = asyncio.get_running_loop()
        self.workspaces.initialize(folders, options)
        self._analysts.trusted = self.workspaces.options.trusted
        self._tell_problems()

    def start(self) -> None:
        """Begin to load the models; settings that come later are applied as they come."""
        for workspace in self.workspaces:
            workspace.started = True
            self._apply_settings(workspace)

    def set_folders(self, folders: Sequence[Folder]) -> None:
        """Folders were opened or closed; new ones wait for `start`."""
        self.workspaces.set_folders(folders)
        self._ngrams.keep_only([folder.path for folder in folders])
        self._analysts.keep_only([folder.path for folder in folders])
        self._calls.forget_drafts()  # other settings may hold for a document now
        self._calls.forget_anchors()
        self._tell_problems()

    def configure(self, raw: object, folder: Path | None = None) -> None:
        """Take the editor's settings for one folder, or for all."""
        self.workspaces.configure(raw, folder)
        self._tell_problems()
        self._apply_all_settings()

    def reread_settings(self) -> None:
        """Read the workspaces' files again."""
        for workspace in self.workspaces:
            workspace.settings.reread()
        self._tell_problems()
        self._apply_all_settings()

    def forget_drafts(self) -> None:
        """Drop all cached drafts, e.g. because other files are excluded now."""
        self._calls.forget_drafts()
        self._ngrams.forget()

    def reload(self) -> Status:
        """Read the settings again and try again what had failed with the models.

        The status is the first folder's; those of all follow as they change.
        """
        self._told = {told for told in self._told if told[0] != _EVERYWHERE}
        self.reread_settings()
        for workspace in self.workspaces:
            if workspace.started and workspace.apply():
                self._calls.forget_anchors()
        return self.workspaces.of(None).models.status

    def settings_of(self, path: Path | None) -> Settings:
        """What holds for a document there."""
        return self.workspaces.of(path).settings.current

    def _apply_all_settings(self) -> None:
        for workspace in self.workspaces:
            self._apply_settings(workspace)

    def _apply_settings(self, workspace: Workspace) -> None:
        if not workspace.outdated:
            return
        self._calls.forget_drafts()
        if workspace.root is not None:
            self._ngrams.forget(workspace.root)
        if workspace.apply():
            self._calls.forget_anchors()

    def _monitoring_for(self, document: Document) -> DocumentMonitoring | None:
        path = document.path
        settings = self.settings_of(document.home)
        others = reversed(list(self.documents.values()))
        return self._analysts.monitoring(document, self.workspaces.root_of(path), settings, others)

    def _indexing_model(self, root: Path) -> Completer | None:
        in_use = self.workspaces.of(root).models.in_use
        return None if in_use is None else in_use.small

    # --- documents ---

    @property
    def documents(self) -> Mapping[str, Document]:
        """By URI, the latest used last; never mutated."""
        return self._open.current

    def put(self, document: Document) -> None:
        """A document was opened or changed."""
        is_new = document.uri not in self.documents
        self._open.put(document)
        root = self.workspaces.root_of(document.path)
        self._ngrams.touch(root)
        if is_new:
            if document.path is not None and document.path.exists():
                self._on_disk.add(document.uri)
            self._analysts.warm(document, root, self.workspaces.of(document.home).settings.current)

    def typed(self, document: Document, offset: int) -> None:
        """The user has typed up to `offset`: a request for drafts there will follow."""
        self._calls.typed()
        workspace = self.workspaces.of(document.home)
        settings = workspace.settings.current
        if (
            workspace.models.in_use is None  # no request will be served, nor is torch there yet
            or not document.text.endswith(NAMES_FOLLOW, 0, offset)
            or _is_off(document, settings)
            or len(document.text) > settings.max_file_size
            or document.binary
        ):
            return
        root, others = (
            self.workspaces.root_of(document.path),
            reversed(list(self.documents.values())),
        )
        self._analysts.typed(document, offset, root, settings, others)

    def saved(self, uri: str) -> None:
        """A document was written to its file, perhaps for the first time."""
        document = self.documents.get(uri)
        if document is not None and document.path is not None:
            how = Changed.CHANGED if uri in self._on_disk else Changed.CREATED
            self._on_disk.add(uri)
            self.files_changed([FileChange(str(document.path), how)])

    def files_changed(self, changes: Sequence[FileChange]) -> None:
        """Files of the workspace are not as they were."""
        self._analysts.files_changed(changes)

    def drop(self, uri: str) -> None:
        """A document was closed: its requests end."""
        self.onlooker.closed(uri)
        closed = self._open.drop(uri)
        self._on_disk.discard(uri)
        self._calls.drop(uri)
        self._told = {told for told in self._told if told[0] != uri}
        if closed is not None:
            self._ngrams.touch(self.workspaces.root_of(closed.path))

    def close(self) -> None:
        """The client is gone: everything that it waited for ends."""
        self.onlooker.close()
        for uri in tuple(self.documents):
            self.drop(uri)
        self._ngrams.close()
        self._analysts.close()
        self.workspaces.close()

    # --- notebooks, whose cells are documents ---

    def put_notebook(self, notebook: NotebookDocument) -> None:
        """A notebook was opened; its cells follow."""
        self._open.notebooks.open(notebook)

    def change_cells(self, uri: str, changes: NotebookDocumentCellChanges) -> None:
        """A notebook has other cells; what is new in their texts follows."""
        if changes.structure is not None:
            self._open.notebooks.splice(uri, changes.structure.array)
        if changes.data:
            self._open.notebooks.describe(uri, changes.data)

    def drop_notebook(self, uri: str) -> None:
        """A notebook was closed, and with it its cells."""
        for cell in self._open.notebooks.close(uri):
            self.drop(cell)

    # --- requests ---

    async def complete(self, ask: Ask) -> Answer:
        """Answer a request; an older one for the same document is answered without drafts."""
        uri = ask.document.uri
        turn = self._calls.turn(uri)
        workspace = self.workspaces.of(ask.document.home)
        self.workspaces.poll(workspace)
        self._tell_problems()
        self._apply_settings(workspace)
        if uri not in self.documents or self._refused(ask):
            self._calls.end(uri)
            return Answer()
        try:
            await asyncio.sleep(0)  # of requests that arrived together, the newest comes forward
            answer = await self._calls.answer(Asked(turn, ask, self._open.request(ask)))
            self._offers.add(ask, answer)
            return answer
        except asyncio.CancelledError:
            self._calls.taken_back(turn, self._open.whole(uri))
            raise
        except Excluded:
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
        self.onlooker.taken(draft_id)
        offered = self._offers.take(draft_id)
        if offered is None:
            return
        ask, draft = offered
        path = ask.document.path
        before = with_line_feeds(ask.document.text[: ask.offset - draft.outdent])
        if path is not None:
            text = before[before.rfind("\n") + 1 :] + draft.text
            self._ngrams.accept(self.workspaces.root_of(path), path, text)

    def _refused(self, ask: Ask) -> bool:
        """Whether this request gets no drafts whatever the model would say."""
        document = ask.document
        settings = self.workspaces.of(document.home).settings.current
        if ask.trigger is Trigger.AUTOMATIC and _is_off(document, settings):
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

    # --- what is told ---

    def _hear_status(self, status: Status) -> None:
        self._client.status(status)
        if status.state is State.READY:  # what was opened before could not be indexed yet
            for document in self.documents.values():
                self._ngrams.touch(self.workspaces.root_of(document.path))

    def _hear_trouble(self, message: str) -> None:
        """Folders may share a model, and its trouble."""
        self._tell_once(_EVERYWHERE, message, f"polydraft: {message}", MessageType.Warning)

    def _hear_analysts(self, message: str) -> None:
        """On any thread."""
        later(self._loop, self._hear_trouble, message)

    def _hear_joined(self) -> None:
        """Two models can do better than what one of them has left in the cache."""
        self._calls.forget_drafts()

    def _tell_once(self, uri: str, reason: str, message: str, kind: MessageType) -> None:
        """Tell the user one thing about a document once, until it is closed."""
        if (uri, reason) not in self._told:
            self._told.add((uri, reason))
            self._client.show(message, kind)

    def _tell_problems(self) -> None:
        for problem in self.workspaces.new_problems():
            self._client.show(f"polydraft: {problem}", MessageType.Warning)


def _is_off(document: Document, settings: Settings) -> bool:
    """Whether drafts come only if the user asks for them."""
    return not settings.automatic or document.language in settings.languages_off


def _name(document: Document) -> str:
    return document.home.name if document.home else "this document"
