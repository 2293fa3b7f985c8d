"""An editor for tests: pygls' client, with what the server tells it kept in lists to wait on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from polydraft.lsp_server.analysts import no_analyser
from polydraft.lsp_server.protocol import make_converter
from polydraft.lsp_server.server import create_server
from polydraft.lsp_server.services import Services, create_services
from polydraft.lsp_server.transports import serve_tcp
from tests.fakes import FakeProvider, no_context, nothing_excluded

URI = "file:///w/a.py"
_CALLABLES = ("is_excluded", "gather", "make_analyser", "recorder")
PATIENCE = 15  # seconds until a test gives up on an event


class Editor:
    """One client. `settings` is what it answers to `workspace/configuration`, except for folders
    that have their own in `settings_of`, by URI."""

    def __init__(self) -> None:
        self.client = LanguageClient("editor", "1", converter_factory=make_converter)
        self.statuses: list[dict[str, Any]] = []
        self.streamed: list[dict[str, Any]] = []
        self.shown: list[str] = []
        self.logged: list[str] = []
        self.progress: list[Any] = []
        self.registered: list[types.Registration] = []
        self.settings: object = None
        self.settings_of: dict[str, object] = {}
        self.updates: list[dict[str, Any]] = []
        self._news = asyncio.Condition()
        feature = self.client.feature
        feature("polydraft/status")(lambda params: self._note(self.statuses, params))
        feature("polydraft/drafts")(lambda params: self._note(self.updates, params))
        feature("polydraft/draft")(lambda params: self._note(self.streamed, params))
        feature("window/showMessage")(lambda params: self._note(self.shown, params.message))
        feature("window/logMessage")(lambda params: self._note(self.logged, params.message))
        feature("$/progress")(lambda params: self._note(self.progress, params.value))
        feature("window/workDoneProgress/create")(lambda params: None)
        feature("workspace/configuration")(lambda params: self._configuration(params))
        feature("client/registerCapability")(
            lambda params: self._note(self.registered, *params.registrations)
        )

    def _note(self, where: list[Any], *news: Any) -> None:
        where.extend(news)
        asyncio.get_running_loop().create_task(self._announce())

    async def _announce(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until what the server told makes the condition true."""
        async with self._news, asyncio.timeout(PATIENCE):
            await self._news.wait_for(lambda: bool(condition()))

    def _configuration(self, params: types.ConfigurationParams) -> list[object]:
        return [self.settings_of.get(item.scope_uri or "", self.settings) for item in params.items]

    async def until_ready(self) -> None:
        await self.until(lambda: self.statuses and self.statuses[-1]["state"] == "ready")

    def status_of(self, root: Path | None = None) -> dict[str, Any]:
        """The latest status of a folder, by default of whichever."""
        of = [each for each in self.statuses if root is None or each["root"] == root.as_uri()]
        return of[-1] if of else {"state": "unknown", "largeState": "unknown"}

    async def until_paired(self, *roots: Path) -> None:
        for root in roots or (None,):
            await self.until(lambda root=root: self.status_of(root)["largeState"] == "ready")  # type: ignore[misc]

    async def initialize(
        self,
        *,
        root: Path | None = None,
        folders: Sequence[Path] = (),
        options: dict[str, object] | None = None,
        encodings: list[str] | None = None,
        inline: bool = True,
        configuration: bool = False,
        watch: bool = False,
        progress: bool = False,
        name: str = "",
    ) -> types.InitializeResult:
        capabilities = types.ClientCapabilities(
            general=types.GeneralClientCapabilities(position_encodings=encodings),  # type: ignore[arg-type]
            text_document=types.TextDocumentClientCapabilities(
                inline_completion=types.InlineCompletionClientCapabilities() if inline else None
            ),
            window=types.WindowClientCapabilities(work_done_progress=progress),
            workspace=types.WorkspaceClientCapabilities(
                configuration=configuration,
                workspace_folders=bool(folders),
                did_change_watched_files=types.DidChangeWatchedFilesClientCapabilities(
                    dynamic_registration=watch
                ),
            ),
        )
        result = await self.client.initialize_async(
            types.InitializeParams(
                capabilities=capabilities,
                client_info=types.ClientInfo(name) if name else None,
                root_uri=root.as_uri() if root else None,
                workspace_folders=[folder_of(path) for path in folders] or None,
                # A slow machine must not cut short what a test holds up.
                # What is drafted ahead in idle time would mix with the requests that tests count.
                initialization_options={
                    "deadlineMs": 60_000,
                    "speculate": False,
                    **(options or {}),
                },
            )
        )
        self.client.initialized(types.InitializedParams())
        return result

    def change_folders(self, *, added: Sequence[Path] = (), removed: Sequence[Path] = ()) -> None:
        event = types.WorkspaceFoldersChangeEvent(
            added=[folder_of(path) for path in added], removed=[folder_of(path) for path in removed]
        )
        self.client.workspace_did_change_workspace_folders(
            types.DidChangeWorkspaceFoldersParams(event)
        )

    def open(self, text: str, *, uri: str = URI, language: str = "python") -> None:
        item = types.TextDocumentItem(uri, language, 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def close(self, *, uri: str = URI) -> None:
        self.client.text_document_did_close(
            types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
        )

    def insert(self, line: int, column: int, text: str, *, version: int = 2) -> None:
        here = types.Position(line, column)
        edit = types.TextDocumentContentChangePartial(range=types.Range(here, here), text=text)
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(version=version, uri=URI), [edit]
            )
        )

    def ask(
        self, line: int, column: int, *, uri: str = URI, automatic: bool = False, id: int = 0
    ) -> Awaitable[types.InlineCompletionList]:
        """Send an inline completion request now; its answer can be awaited."""
        kind = types.InlineCompletionTriggerKind
        params = types.InlineCompletionParams(
            context=types.InlineCompletionContext(kind.Automatic if automatic else kind.Invoked),
            text_document=types.TextDocumentIdentifier(uri),
            position=types.Position(line, column),
        )
        answer = self.client.protocol.send_request_async(
            types.TEXT_DOCUMENT_INLINE_COMPLETION, params, msg_id=id or None
        )
        return asyncio.wait_for(answer, PATIENCE)

    async def inline(self, line: int, column: int, **how: Any) -> list[str]:
        """The texts of an inline completion."""
        answer = await self.ask(line, column, **how)
        return [item.insert_text for item in answer.items]  # type: ignore[misc]

    async def drafts(self, line: int, column: int, *, uri: str = URI, **more: Any) -> Any:
        params = {
            "textDocument": {"uri": uri},
            "position": {"line": line, "character": column},
            **more,
        }
        answer = self.client.protocol.send_request_async("polydraft/drafts", params)
        return await asyncio.wait_for(answer, PATIENCE)

    async def send_raw(self, method: str, *params: object) -> Any:
        """Send a request without the client's help, which would not send nonsense; no parameters
        are none."""
        protocol = self.client.protocol
        answer: Future[Any] = Future()
        protocol._request_futures["raw"] = answer
        message = {"jsonrpc": "2.0", "id": "raw", "method": method}
        message.update(zip(("params",), params, strict=False))
        body = json.dumps(message).encode()
        head = b"Content-Length: %d\r\n\r\n" % len(body)
        protocol.writer.write(head + body)  # type: ignore[union-attr]
        return await asyncio.wait_for(asyncio.wrap_future(answer), PATIENCE)

    async def leave(self) -> None:
        """Say goodbye as the protocol wants it."""
        await asyncio.wait_for(self.client.shutdown_async(None), PATIENCE)
        self.client.exit(None)

    def vanish(self) -> None:
        """Break the connection without a word."""
        self.client.protocol.writer.transport.abort()  # type: ignore[union-attr]


def folder_of(path: Path) -> types.WorkspaceFolder:
    return types.WorkspaceFolder(path.as_uri(), path.name)


@asynccontextmanager
async def serving(
    serve: Callable[..., Awaitable[None]] = serve_tcp, **how: Any
) -> AsyncIterator[int]:
    """Run a socket server for as long as the block; gives its port."""
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(
        serve("127.0.0.1", 0, announce=lambda _, port: bound.set_result(port), **how)
    )
    try:
        done, _ = await asyncio.wait({task, bound}, return_when=asyncio.FIRST_COMPLETED)
        if task in done:
            task.result()
        yield await bound
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Editor]:
    """An editor on a TCP connection, which is closed at the end."""
    editor = Editor()
    await editor.client.start_tcp("127.0.0.1", port)
    writer = editor.client.protocol.writer
    try:
        yield editor
    finally:
        writer.close()  # type: ignore[union-attr]
        with suppress(OSError):
            await writer.wait_closed()  # type: ignore[union-attr]
        with suppress(asyncio.IncompleteReadError, OSError):
            await asyncio.wait_for(editor.client.stop(), PATIENCE)


@asynccontextmanager
async def shared(provider: FakeProvider, **callables: Any) -> AsyncIterator[Services]:
    services = create_services(
        provider,
        callables.get("is_excluded", nothing_excluded),
        callables.get("gather", no_context),
        make_analyser=callables.get("make_analyser", no_analyser),
        recorder=callables.get("recorder"),
    )
    try:
        yield services
    finally:
        provider.let_go()
        services.close()


@asynccontextmanager
async def editing(
    provider: FakeProvider, *, text: str | None = None, ready: bool = True, **how: Any
) -> AsyncIterator[Editor]:
    """An initialized editor on a server of its own, with a document open if `text` is given."""
    callables = {key: how.pop(key) for key in _CALLABLES if key in how}
    settings, settings_of = how.pop("settings", None), how.pop("settings_of", {})
    async with (
        shared(provider, **callables) as services,
        serving(make_server=partial(create_server, services)) as port,
        connected(port) as editor,
    ):
        editor.settings, editor.settings_of = settings, settings_of
        await editor.initialize(**how)
        if text is not None:
            editor.open(text)
        if ready:
            await editor.until_ready()
        yield editor
