"""pygls' protocol with four things put right.

- The text of a request is the text as it was when the request arrived. pygls starts a handler some
  turns of the event loop later, when newer edits may already have been applied.
- `exit` ends one connection, not the process with all its clients.
- Documents are kept by `polydraft.lsp_server.documents`, not by pygls, whose text documents split
  lines at form feeds and walk through each line in Python.
- A request that makes no sense is answered with an error rather than never.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from cattrs import Converter
from lsprotocol import converters, types
from pygls.exceptions import JsonRpcException
from pygls.protocol import (
    JsonRPCNotification,
    JsonRPCRequestMessage,
    JsonRPCResponseMessage,
    LanguageServerProtocol,
    lsp_method,
)

from polydraft.lsp_server.documents import Document

if TYPE_CHECKING:
    from polydraft.lsp_server.server import PolydraftServer

_arrived_with: ContextVar[Mapping[str, Document]] = ContextVar("arrived_with")


def documents_at_arrival() -> Mapping[str, Document]:
    """The open documents as they were when the message being handled arrived."""
    return _arrived_with.get()


def make_converter() -> Converter:
    """lsprotocol's converter; parameters of polydraft's own methods stay plain JSON values."""
    converter = converters.get_converter()
    converter.register_structure_hook(JsonRPCResponseMessage, lambda value, cls: cls(**value))
    for message in (JsonRPCRequestMessage, JsonRPCNotification):  # which may come without params
        converter.register_structure_hook(
            message, lambda value, cls: cls(**{"params": None, **value})
        )
    return converter


class PolydraftProtocol(LanguageServerProtocol):
    @property
    def _polydraft(self) -> PolydraftServer:
        return cast("PolydraftServer", self._server)

    def handle_message(self, message: Any) -> None:
        token = _arrived_with.set(self._polydraft.session.documents)
        try:
            super().handle_message(message)  # runs handlers in copies of this context
        finally:
            _arrived_with.reset(token)

    def structure_message(self, data: dict[str, Any]) -> Any:
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "id" in data and "method" in data:
                self._send_response(data["id"], error=error.to_response_error())
            raise

    @lsp_method(types.EXIT)
    def lsp_exit(self, *_: Any) -> None:  # type: ignore[override]
        self._polydraft.leave(0 if self._shutdown else 1)

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        self._polydraft.did_open(params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        self._polydraft.did_change(params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self._polydraft.did_close(params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    def lsp_notebook_document__did_open(self, params: types.DidOpenNotebookDocumentParams) -> None:
        self._polydraft.did_open_notebook(params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def lsp_notebook_document__did_change(
        self, params: types.DidChangeNotebookDocumentParams
    ) -> None:
        self._polydraft.did_change_notebook(params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_SAVE)
    def lsp_notebook_document__did_save(self, params: types.DidSaveNotebookDocumentParams) -> None:
        pass  # what its cells hold is known

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def lsp_notebook_document__did_close(
        self, params: types.DidCloseNotebookDocumentParams
    ) -> None:
        self._polydraft.did_close_notebook(params)
