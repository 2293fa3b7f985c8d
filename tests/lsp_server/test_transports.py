from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from polydraft.lsp_server.server import create_server
from polydraft.lsp_server.services import Services
from polydraft.lsp_server.transports import (
    TransportError,
    is_loopback,
    serve_tcp,
    serve_websocket,
)
from tests.fakes import FakeProvider
from tests.lsp_server.harness import PATIENCE, URI, Editor, connected, serving, shared

SCRIPT = str(Path(__file__).with_name("stdio_server.py"))


async def seen(provider: FakeProvider, condition: Any) -> None:
    await asyncio.to_thread(provider.completer.wait_for, condition)


async def stdio(editor: Editor) -> asyncio.subprocess.Process:
    await editor.client.start_io(sys.executable, SCRIPT)
    process = editor.client._server
    assert process is not None
    return process


def close_pipes(process: asyncio.subprocess.Process) -> None:
    process._transport.close()  # type: ignore[attr-defined]


# --- standard streams ---


async def test_stdio_serves_drafts_although_something_prints() -> None:
    editor = Editor()
    process = await stdio(editor)
    await editor.initialize()
    await editor.until_ready()
    editor.open("x = ")
    assert await editor.inline(0, 4) == [" 0", " 1", " 2"]
    await editor.leave()
    assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    await editor.client.stop()
    assert process.stderr is not None
    printed = await process.stderr.read()
    assert b"a careless print" in printed and b"a careless write" in printed
    close_pipes(process)


async def test_over_stdio_the_large_models_drafts_follow_the_answer() -> None:
    editor = Editor()
    process = await stdio(editor)
    await editor.initialize(options={"large": "large", "stream": True})
    await editor.until_paired()
    editor.open("x = ")
    answer = await editor.drafts(0, 4)
    assert [each["text"] for each in answer["drafts"]] == [" 0", " 1", " 2"]
    await editor.until(lambda: editor.updates)
    (update,) = editor.updates
    assert [each["text"] for each in update["drafts"]] == ["large 0", "large 1", "large 2"]
    assert [each["id"] for each in update["drafts"]] == [each["id"] for each in answer["drafts"]]
    await editor.leave()
    assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    await editor.client.stop()
    close_pipes(process)


async def test_stdio_ends_with_1_on_exit_without_shutdown_and_when_the_client_is_gone() -> None:
    for gone in (False, True):
        editor = Editor()
        process = await stdio(editor)
        await editor.initialize()
        if gone:
            editor.client.protocol.writer.close()  # type: ignore[union-attr]
        else:
            editor.client.exit(None)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 1
        await editor.client.stop()
        close_pipes(process)


# --- TCP ---


@asynccontextmanager
async def tcp(provider: FakeProvider) -> AsyncIterator[int]:
    async with (
        shared(provider) as services,
        serving(serve_tcp, make_server=partial(create_server, services)) as port,
    ):
        yield port


async def test_tcp_serves_many_clients_with_one_model() -> None:
    provider = FakeProvider()
    async with tcp(provider) as port, connected(port) as one, connected(port) as two:
        for editor in (one, two):
            await editor.initialize()
            await editor.until_ready()
        one.open("one")
        two.open("two")  # the same URI: a document of its own
        assert len(await one.inline(0, 3)) == 3
        assert len(await two.inline(0, 3)) == 3
        assert [request.prefix for request in provider.completer.requests] == ["one", "two"]
        await one.leave()
        assert len(await two.inline(0, 2)) == 3
    assert len(provider.loads) == 1


async def test_a_client_that_vanishes_frees_what_it_waited_for() -> None:
    provider = FakeProvider()
    async with tcp(provider) as port, connected(port) as stays:
        await stays.initialize()
        await stays.until_ready()
        stays.open("x")
        async with connected(port) as vanishes:
            await vanishes.initialize()
            await vanishes.until_ready()
            vanishes.open("y")
            provider.completer.gate.clear()
            answer = asyncio.ensure_future(vanishes.ask(0, 1))
            await seen(provider, lambda fake: len(fake.requests) == 1)
            vanishes.vanish()
            await seen(provider, lambda fake: fake.cancelled == 1)
            answer.cancel()
        provider.completer.gate.set()
        assert len(await stays.inline(0, 1)) == 3


async def test_a_client_that_speaks_no_lsp_harms_nobody() -> None:
    async with tcp(FakeProvider()) as port, connected(port) as stays:
        await stays.initialize()
        await stays.until_ready()
        for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b"Content-Length: 10\r\n\r\nhalf"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(nonsense)
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
            writer.close()
            await writer.wait_closed()
        stays.open("x")
        assert len(await stays.inline(0, 1)) == 3


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.1.2", False),
        ("localhost.evil.example", False),
    ],
)
async def test_only_loopback_is_served_without_a_token(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback
    if not loopback:

        def never() -> Any:
            raise AssertionError

        with pytest.raises(TransportError, match="--ws"):
            await serve_tcp(host, 0, never)
        for token in (None, ""):
            with pytest.raises(TransportError, match="token"):
                await serve_websocket(host, 0, never, token=token)


# --- websocket ---


class Page:
    """A client as a web page would be: a websocket and JSON in text frames."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._id = 0

    async def notify(self, method: str, params: object) -> None:
        await self._socket.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}))

    async def call(self, method: str, params: object) -> Any:
        self._id += 1
        message = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}
        await self._socket.send(json.dumps(message))
        return (await self.hear(lambda answer: answer.get("id") == self._id))["result"]

    async def hear(self, wanted: Any) -> Any:
        async with asyncio.timeout(PATIENCE):
            while True:
                frame = await self._socket.recv()
                assert isinstance(frame, str)  # browsers get binary frames as blobs
                message = json.loads(frame)
                if wanted(message):
                    return message

    async def begin(self, text: str) -> None:
        options = {"deadlineMs": 60_000}
        await self.call("initialize", {"capabilities": {}, "initializationOptions": options})
        await self.notify("initialized", {})
        await self.hear(lambda message: message.get("params", {}).get("state") == "ready")
        document = {"uri": URI, "languageId": "python", "version": 1, "text": text}
        await self.notify("textDocument/didOpen", {"textDocument": document})

    async def drafts(self, character: int) -> list[str]:
        place = {"line": 0, "character": character}
        params = {"textDocument": {"uri": URI}, "position": place}
        answer = await self.call("polydraft/drafts", params)
        return [draft["text"] for draft in answer["drafts"]]


def websocket(services: Services, **how: Any) -> Any:
    return serving(serve_websocket, make_server=partial(create_server, services), **how)


async def test_one_websocket_clients_exit_leaves_the_others_alone() -> None:
    async with shared(FakeProvider()) as services, websocket(services) as port:
        address = f"ws://127.0.0.1:{port}"
        async with connect(address) as first, connect(address) as second:
            one, two = Page(first), Page(second)
            await one.begin("one")
            await two.begin("two")
            assert len(await one.drafts(3)) == 3
            await one.call("shutdown", None)
            await one.notify("exit", None)
            await asyncio.wait_for(first.wait_closed(), PATIENCE)
            assert len(await two.drafts(3)) == 3
        async with connect(address) as third:
            page = Page(third)
            await page.begin("three")
            assert len(await page.drafts(5)) == 3


async def test_a_websocket_client_that_vanishes_frees_what_it_waited_for() -> None:
    provider = FakeProvider()
    async with shared(provider) as services, websocket(services) as port:
        async with connect(f"ws://127.0.0.1:{port}") as socket:
            page = Page(socket)
            await page.begin("x")
            provider.completer.gate.clear()
            asked = asyncio.ensure_future(page.drafts(1))
            await seen(provider, lambda fake: len(fake.requests) == 1)
            asked.cancel()
            socket.transport.abort()
        await seen(provider, lambda fake: fake.cancelled == 1)


async def test_pygls_own_client_works_over_a_websocket() -> None:
    async with shared(FakeProvider()) as services, websocket(services) as port:
        editor = Editor()
        await editor.client.start_ws("127.0.0.1", port)
        await editor.initialize()
        await editor.until_ready()
        editor.open("x")
        assert len(await editor.inline(0, 1)) == 3
        await editor.leave()
        await asyncio.wait_for(editor.client.stop(), PATIENCE)


async def test_a_whole_large_document_comes_in_one_message() -> None:
    async with (
        shared(FakeProvider()) as services,
        websocket(services) as port,
        connect(f"ws://127.0.0.1:{port}") as socket,
    ):
        page = Page(socket)
        await page.begin("x" * 2_500_000)
        assert await page.drafts(5) == []


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        (None, True),
        ("http://localhost:3000", True),
        ("http://127.0.0.1", True),
        ("https://[::1]:8443", True),
        ("https://ide.example.org", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://localhost:3000.evil.example", False),
        ("null", False),
    ],
)
async def test_pages_of_foreign_origins_are_refused(origin: str | None, welcome: bool) -> None:
    async with (
        shared(FakeProvider()) as services,
        websocket(services, origins=["https://ide.example.org"]) as port,
    ):
        connecting = connect(f"ws://127.0.0.1:{port}", origin=origin)  # type: ignore[arg-type]
        if welcome:
            async with connecting:
                return
        with pytest.raises(InvalidStatus) as refused:
            await connecting
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("path", "headers", "welcome"),
    [
        ("/", {}, False),
        ("/?token=wrong", {}, False),
        ("/?token=", {}, False),
        ("/", {"Authorization": "Bearer wrong"}, False),
        ("/", {"Authorization": "Basic s3cret/+"}, False),
        ("/?token=s3cret%2F%2B", {}, True),
        ("/", {"Authorization": "Bearer s3cret/+"}, True),
        ("/?token=wr%C3%B6ng", {}, False),
    ],
)
async def test_the_token_must_be_shown(path: str, headers: dict[str, str], welcome: bool) -> None:
    async with (
        shared(FakeProvider()) as services,
        websocket(services, token="s3cret/+") as port,
    ):
        connecting = connect(f"ws://127.0.0.1:{port}{path}", additional_headers=headers)
        if welcome:
            async with connecting as socket:
                await Page(socket).begin("x")
                return
        with pytest.raises(InvalidStatus) as refused:
            await connecting
        assert refused.value.response.status_code == 401


async def test_the_bound_port_is_told_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with shared(FakeProvider()) as services:
        for serve in (serve_tcp, serve_websocket):
            task = asyncio.ensure_future(
                serve("localhost", 0, partial(create_server, services))  # type: ignore[operator]
            )
            async with asyncio.timeout(PATIENCE):
                while not (said := capsys.readouterr().err):
                    await asyncio.sleep(0)
            assert said.startswith("polydraft is listening on ")
            port = int(said.rsplit(":", 1)[1])
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_stopping_the_server_ends_its_connections() -> None:
    async with shared(FakeProvider()) as services:
        editor = Editor()
        async with serving(serve_tcp, make_server=partial(create_server, services)) as port:
            await editor.client.start_tcp("127.0.0.1", port)
            await editor.initialize()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*editor.client._async_tasks)
        editor.client.protocol.writer.close()  # type: ignore[union-attr]
