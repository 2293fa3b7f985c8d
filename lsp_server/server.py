"""The language server: messages in, a session's answers out; handlers only translate.

Make one server for each connection with `create_server`; what connections share is in `Services`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcInternalError, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from polydraft.lsp_server import messages
from polydraft.lsp_server.asks import Answer, Ask, NamedDraft, Trigger
from polydraft.lsp_server.client_settings import (
    changed_configuration,
    changed_files,
    changed_folders,
    pull_settings,
    register_watchers,
)
from polydraft.lsp_server.documents import (
    Document,
    Encoding,
    changed,
    end_of,
    key_of,
    offset_at,
    path_of,
)
from polydraft.lsp_server.items import (
    all_offered,
    inline_items,
    offered,
    stats_of,
)
from polydraft.lsp_server.menu import MenuClient, menu_client, menu_items
from polydraft.lsp_server.notebooks import opened_alone, opened_cell
from polydraft.lsp_server.progress import LoadingProgress
from polydraft.lsp_server.protocol import (
    PolydraftProtocol,
    documents_at_arrival,
    make_converter,
)
from polydraft.lsp_server.services import Services
from polydraft.lsp_server.session import Session
from polydraft.lsp_server.workspace import Folder
from polydraft.models.errors import ModelError

logger = logging.getLogger(__name__)

_ALL_CELLS = types.NotebookDocumentSyncOptions(
    [types.NotebookDocumentFilterWithNotebook(notebook="*")]  # their code and their prose
)

Place = tuple[Document, int]  # and an offset into it


class PolydraftServer(LanguageServer):
    """One client's connection."""

    def __init__(self, services: Services) -> None:
        super().__init__(
            "polydraft",
            _version(),
            types.TextDocumentSyncKind.Incremental,
            notebook_document_sync=_ALL_CELLS,
            protocol_cls=PolydraftProtocol,
            converter_factory=make_converter,
            max_workers=1,
        )
        self.left = threading.Event()  # set when the client said `exit` or is gone
        self.exit_code: int | None = None  # as `exit` should end a process, once it came
        self.knows_folders = False  # the client has named its folders
        self.shows_outdents = True
        self.menu = MenuClient()
        self.session = Session(self, services)
        self._loading: LoadingProgress | None = None

    # --- a session's voice (see `polydraft.lsp_server.session.Client`) ---

    def status(self, status: messages.Status) -> None:
        self._tell(messages.STATUS, status)
        if self._loading is not None and not self.left.is_set():
            self._loading.follow(status)

    def called(self, call: messages.Call) -> None:
        self._tell(messages.CALL, call)

    def show(self, message: str, kind: types.MessageType) -> None:
        self.window_show_message(types.ShowMessageParams(kind, message))

    def _tell(self, method: str, payload: object) -> None:
        if not self.left.is_set():
            self.protocol.notify(method, messages.to_wire(payload))

    # --- the connection ---

    def leave(self, exit_code: int) -> None:
        """The client has said goodbye: the connection's loop ends after this message."""
        self.exit_code = exit_code
        self.left.set()

    def close(self) -> None:
        """The connection has ended, in whichever way: free all that it held."""
        self.left.set()
        if self._loading is not None:
            self._loading.stop()
        self.session.close()
        # Handlers at work and questions that the client will never answer.
        for future in tuple(self.protocol._request_futures.values()):
            future.cancel()
        self.shutdown()  # type: ignore[no-untyped-call]

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Broken messages and failed handlers are for the log, not for a box on the screen."""
        logger.error("%s: %s", getattr(source, "__name__", source), error)

    # --- documents; the protocol calls these in the order of the messages ---

    @property
    def encoding(self) -> Encoding:
        return self.workspace.position_encoding or types.PositionEncodingKind.Utf16

    def did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        self.session.put(opened_alone(params.text_document))

    def did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        self._change(params.text_document, params.content_changes)

    def _change(
        self,
        changed_one: types.VersionedTextDocumentIdentifier,
        changes: Sequence[types.TextDocumentContentChangeEvent],
    ) -> None:
        document = self.session.documents.get(key_of(changed_one.uri))
        if document is None:
            logger.warning("a change of a document that is not open: %s", changed_one.uri)
            return
        for change in changes:
            before = document
            document = changed(document, [change], changed_one.version, self.encoding)
            self.session.onlooker.edited(before, document)
        self.session.put(document)
        cursor = end_of(changes, document, self.encoding)
        if cursor is not None:
            self.session.typed(document, cursor)

    def did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self.session.drop(key_of(params.text_document.uri))

    def did_open_notebook(self, params: types.DidOpenNotebookDocumentParams) -> None:
        self.session.put_notebook(params.notebook_document)
        for cell in params.cell_text_documents:
            self.session.put(opened_cell(cell, params.notebook_document.uri))

    def did_change_notebook(self, params: types.DidChangeNotebookDocumentParams) -> None:
        notebook, cells = params.notebook_document.uri, params.change.cells
        if cells is None:
            return  # its metadata
        self.session.change_cells(notebook, cells)
        if cells.structure is not None:
            for gone in cells.structure.did_close or ():
                self.session.drop(key_of(gone.uri))
            for new in cells.structure.did_open or ():
                self.session.put(opened_cell(new, notebook))
        for content in cells.text_content or ():
            self._change(content.document, content.changes)

    def did_close_notebook(self, params: types.DidCloseNotebookDocumentParams) -> None:
        self.session.drop_notebook(params.notebook_document.uri)
        for cell in params.cell_text_documents:
            self.session.drop(key_of(cell.uri))

    # --- completion ---

    def place(self, uri: str, position: types.Position) -> Place | None:
        """The document that a request means, and the offset; None if there is no such place."""
        document = documents_at_arrival().get(key_of(uri))
        if document is None:
            self.window_log_message(
                types.LogMessageParams(
                    types.MessageType.Warning,
                    f"A completion was asked for a document that is not open: {uri}",
                )
            )
            return None
        offset = offset_at(document, position, self.encoding)
        return None if offset is None else (document, offset)

    async def answer(
        self, uri: str, place: Place, trigger: Trigger, *, k: int | None = None
    ) -> Answer:
        """Ask the session; what it tells beside names the document as the client does."""
        document, offset = place
        request_id = self.protocol.msg_id

        def on_draft(named: NamedDraft) -> None:
            first = offered(document, offset, named, self.encoding)
            self._tell(
                messages.DRAFT,
                messages.StreamedDraft(request_id, uri, document.version, first),
            )

        def on_update(better: Answer) -> None:
            drafts = all_offered(document, offset, better, self.encoding)
            self._tell(
                messages.DRAFTS,
                messages.BetterDrafts(request_id, uri, document.version, drafts, stats_of(better)),
            )

        return await self.session.complete(
            Ask(document, offset, trigger, k, on_draft, on_update, request_id)
        )

    # --- settings ---

    def folders(self) -> list[Folder]:
        """The workspace folders that are on this machine, or the root of a client without any."""
        uris = [folder.uri for folder in self.workspace.folders.values()]
        if not self.knows_folders and self.workspace.root_uri:
            uris = [self.workspace.root_uri]
        return [Folder(uri, path) for uri in uris if (path := path_of(uri)) is not None]

    def can(self, capability: str) -> bool:
        return bool(get_capability(self.client_capabilities, capability))

    def show_progress(self) -> None:
        if self.can("window.work_done_progress"):
            self._loading = LoadingProgress(self.work_done_progress)


def create_server(services: Services) -> PolydraftServer:
    """A server for one connection."""
    server = PolydraftServer(services)
    feature = server.feature
    feature(types.INITIALIZE)(_initialize)
    feature(types.INITIALIZED)(_initialized)
    feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(changed_configuration)
    feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)(changed_files)
    feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(changed_folders)
    feature(types.TEXT_DOCUMENT_DID_SAVE)(_did_save)
    feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(
        _inline_completion
    )
    feature(messages.DRAFTS)(_drafts)
    feature(messages.RELOAD)(_reload)
    feature(messages.SHOWN)(_shown)
    feature(messages.PARTLY_TAKEN)(_partly_taken)
    feature(messages.HIDDEN)(_hidden)
    feature(messages.MODELS)(_models)
    feature(messages.SETTINGS)(_settings)
    server.command(messages.ACCEPTED)(_accepted)
    return server


def _initialize(ls: PolydraftServer, params: types.InitializeParams) -> None:
    # Who understands inline completion needs no second offer among the ordinary ones.
    if not get_capability(params.capabilities, "text_document.inline_completion"):
        options = types.CompletionOptions(trigger_characters=[".", "("])
        ls.feature(types.TEXT_DOCUMENT_COMPLETION, options)(_completion)
        ls.menu = menu_client(params)
    # Its own ghost text leaves out as many characters as stand before the cursor.
    ls.shows_outdents = not params.client_info or params.client_info.name != "Neovim"
    ls.knows_folders = bool(params.workspace_folders)
    ls.session.initialize(ls.folders(), params.initialization_options)


async def _initialized(ls: PolydraftServer, _: types.InitializedParams) -> None:
    ls.show_progress()
    if ls.can("workspace.configuration"):
        await pull_settings(ls)
    ls.session.start()
    await register_watchers(ls)


def _did_save(ls: PolydraftServer, params: types.DidSaveTextDocumentParams) -> None:
    ls.session.saved(key_of(params.text_document.uri))


async def _inline_completion(
    ls: PolydraftServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList:
    place = ls.place(params.text_document.uri, params.position)
    if place is None:
        return types.InlineCompletionList(items=[])
    invoked = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
    trigger = Trigger.INVOKED if invoked else Trigger.AUTOMATIC
    answer = await ls.answer(params.text_document.uri, place, trigger)
    drafts = [each for each in answer.drafts if ls.shows_outdents or not each[1].outdent]
    return types.InlineCompletionList(items=inline_items(*place, drafts, ls.encoding))


async def _completion(ls: PolydraftServer, params: types.CompletionParams) -> types.CompletionList:
    # Editors call it "invoked" when an identifier is typed, too: so the settings are obeyed.
    place = ls.place(params.text_document.uri, params.position)
    if place is None:
        return types.CompletionList(is_incomplete=True, items=[])
    answer = await ls.answer(params.text_document.uri, place, Trigger.AUTOMATIC)
    items = menu_items(*place, answer.drafts, ls.encoding, ls.menu)
    return types.CompletionList(is_incomplete=True, items=items)


async def _drafts(ls: PolydraftServer, raw: object) -> Any:
    try:
        params = messages.parse_drafts_params(raw)
    except ValueError as error:
        raise JsonRpcInvalidParams(str(error)) from None
    place = ls.place(params.uri, params.position)
    document = documents_at_arrival().get(key_of(params.uri))
    answer = Answer()
    if place is not None:
        trigger = Trigger.AUTOMATIC if params.automatic else Trigger.INVOKED
        answer = await ls.answer(params.uri, place, trigger, k=params.k)
    drafts = messages.Drafts(
        version=document.version if document else None,
        drafts=all_offered(*place, answer, ls.encoding) if place else (),
        stats=stats_of(answer),
    )
    return messages.to_wire(drafts)


async def _reload(ls: PolydraftServer, _: object) -> Any:
    return messages.to_wire(ls.session.reload())


def _shown(ls: PolydraftServer, raw: object) -> None:
    ls.session.onlooker.shown(messages.parse_told(raw).draft_id)


def _partly_taken(ls: PolydraftServer, raw: object) -> None:
    told = messages.parse_told(raw)
    ls.session.onlooker.partly_taken(told.draft_id, told.accepted_length, ls.encoding)


def _hidden(ls: PolydraftServer, raw: object) -> None:
    ls.session.onlooker.hidden(messages.parse_told(raw).draft_id)


async def _models(_: PolydraftServer, __: object) -> Any:
    from polydraft.lsp_server.known_models import known_models  # which imports the registry

    try:
        models = await asyncio.to_thread(known_models)
    except ModelError as error:
        raise JsonRpcInternalError(str(error)) from None
    return {"models": messages.to_wire(models)}


def _settings(ls: PolydraftServer, raw: object) -> Any:
    uri = messages.parse_uri(raw)
    held = ls.session.settings_of(None if uri is None else path_of(uri))
    names = (item.name for item in fields(messages.Held))
    return messages.to_wire(messages.Held(**{name: getattr(held, name) for name in names}))


def _accepted(ls: PolydraftServer, *arguments: Any) -> None:
    """The user took a draft; its id is the only argument."""
    for argument in arguments[:1]:
        ls.session.accept(str(argument))


def _version() -> str:
    try:
        return version("polydraft")
    except PackageNotFoundError:
        return "0"
