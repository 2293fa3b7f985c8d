"""How clients reach the server: standard streams, TCP, websocket.

Each connection has a server object of its own; the engine and the models are shared by all. One
client's `exit` or disappearance ends its own connection and frees what it waited for. Sockets
listen on this machine only. A websocket may listen elsewhere if clients must show a token, and
refuses web pages of foreign origins; TCP has neither, so it never leaves the machine.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import os
import re
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from typing import BinaryIO, Protocol
from urllib.parse import parse_qs, urlsplit

from pygls.io_ import run_async, run_websocket
from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Origin

from polydraft.lsp_server.server import PolydraftServer

logger = logging.getLogger(__name__)

MakeServer = Callable[[], PolydraftServer]
Announce = Callable[[str, int], None]
"""Called with the host and the bound port once clients can connect."""

LOOPBACK_ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
_LARGEST_MESSAGE = 64 * 1024 * 1024  # bytes; a whole document may come in one message


class TransportError(Exception):
    """A server that must not be started as asked; the text says what to do instead."""


def is_loopback(host: str) -> bool:
    """Whether a server on `host` can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _address(host: str) -> str:
    """One address to listen on, so that port 0 means one port."""
    return "127.0.0.1" if host == "localhost" else host


def announce_on_stderr(scheme: str) -> Announce:
    def announce(host: str, port: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        print(f"polydraft is listening on {scheme}://{shown}:{port}", file=sys.stderr, flush=True)

    return announce


async def serve_stdio(make_server: MakeServer) -> int:
    """Serve one client over the process's standard streams.

    Returns the exit code that the protocol asks for: 0 after `shutdown` and `exit`, else 1.
    Meanwhile everything that is printed goes to standard error.
    """
    with _own_standard_output() as output:
        reader = asyncio.StreamReader(limit=_LARGEST_MESSAGE)
        _read_on_thread(sys.stdin.fileno(), reader)
        return await _serve_stream(make_server(), reader, _FileWriter(output))


async def serve_tcp(
    host: str, port: int, make_server: MakeServer, *, announce: Announce | None = None
) -> None:
    """Serve any number of clients until cancelled; port 0 takes a free one.

    TransportError if `host` can be reached from other machines.
    """
    if not is_loopback(host):
        raise TransportError(
            f"Refusing to serve TCP on {host}: other machines could reach it, and TCP has no "
            "access token. Use 127.0.0.1, or serve a websocket (--ws) with a --token-file."
        )

    async def connected(reader: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
        try:
            await _serve_stream(make_server(), reader, stream)
        finally:
            stream.close()
            with suppress(OSError):
                await stream.wait_closed()

    async with _tasks() as connections:

        def accept(reader: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
            task = connections(connected(reader, stream))
            task.add_done_callback(lambda _: stream.close())  # it may end before it began

        server = await asyncio.start_server(accept, _address(host), port, limit=_LARGEST_MESSAGE)
        try:
            (announce or announce_on_stderr("tcp"))(host, server.sockets[0].getsockname()[1])
            await server.serve_forever()
        finally:
            server.close()


async def serve_websocket(
    host: str,
    port: int,
    make_server: MakeServer,
    *,
    token: str | None = None,
    origins: Sequence[str] = (),
    announce: Announce | None = None,
) -> None:
    """Serve any number of clients until cancelled; port 0 takes a free one.

    Clients without an Origin header (no browsers) and pages from this machine are let in; other
    pages only if their origin, e.g. "https://ide.example.org", is among `origins`. With a `token`
    clients must show it, as `Authorization: Bearer TOKEN` or as `?token=TOKEN`. TransportError if
    `host` can be reached from other machines and there is no token.
    """
    if not token and not is_loopback(host):
        raise TransportError(
            f"Refusing to serve a websocket on {host} without an access token, since other "
            "machines could reach it. Use 127.0.0.1, or give a token (--token-file)."
        )

    def admit(socket: ServerConnection, request: Request) -> Response | None:
        if not token or _shows_token(request, token):
            return None
        response = socket.respond(HTTPStatus.UNAUTHORIZED, "A valid access token is needed.\n")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    async def connected(socket: ServerConnection) -> None:
        server = make_server()
        try:
            await run_websocket(
                websocket=_TextFrames(socket),  # type: ignore[arg-type]
                stop_event=server.left,
                protocol=server.protocol,
                logger=logger,
                error_handler=server.report_server_error,
            )
        finally:
            server.close()

    listening: WebSocketServer = await serve(
        connected,
        _address(host),
        port,
        origins=[None, LOOPBACK_ORIGIN, *(Origin(origin) for origin in origins)],
        process_request=admit,
        max_size=_LARGEST_MESSAGE,
        compression=None,
    )
    async with listening:
        address = next(iter(listening.sockets)).getsockname()
        (announce or announce_on_stderr("ws"))(host, address[1])
        await listening.serve_forever()


def _shows_token(request: Request, token: str) -> bool:
    shown = parse_qs(urlsplit(request.path).query).get("token", [])
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        shown.append(value.strip())
    return any(hmac.compare_digest(each.encode(), token.encode()) for each in shown)


class _Writer(Protocol):
    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


async def _serve_stream(
    server: PolydraftServer, reader: asyncio.StreamReader, writer: _Writer
) -> int:
    """Serve one client until it leaves or is gone; the writer stays open."""
    server.protocol.set_writer(writer)
    try:
        await run_async(
            stop_event=server.left,
            reader=reader,
            protocol=server.protocol,
            logger=logger,
            error_handler=server.report_server_error,
        )
    except (OSError, EOFError, ValueError) as error:  # gone in mid-message, or not speaking LSP
        logger.info("the connection broke: %s", error)
    finally:
        server.close()
    return 1 if server.exit_code is None else server.exit_code


class _TextFrames:
    """A websocket as pygls uses it, that sends text frames and takes no offence at a lost client.

    pygls would send binary frames, which browsers hand over as blobs.
    """

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket

    async def recv(self, decode: bool | None = None) -> str | bytes:
        return await self._socket.recv(decode=decode)

    async def send(self, data: bytes) -> None:
        with suppress(ConnectionClosed):
            await self._socket.send(data, text=True)

    async def close(self) -> None:
        await self._socket.close()


class _FileWriter:
    """A binary file as a writer that takes no offence at a reader that is gone."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except (OSError, ValueError) as error:
            logger.info("nobody reads the answers: %s", error)

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()


@contextmanager
def _own_standard_output() -> Iterator[BinaryIO]:
    """Keep standard output for the protocol; prints, also those of C code, go to standard error."""
    sys.stdout.flush()
    kept, python_output = os.dup(1), sys.stdout
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        with suppress(BrokenPipeError), os.fdopen(kept, "wb", closefd=False) as output:
            yield output
    finally:
        sys.stdout = python_output
        os.dup2(kept, 1)
        os.close(kept)


def _read_on_thread(descriptor: int, reader: asyncio.StreamReader) -> None:
    """Feed a stream from a file descriptor of any kind, on every platform.

    The thread may stay blocked in `os.read` for as long as the process lives, so it is a daemon.
    """
    loop = asyncio.get_running_loop()

    def read() -> None:
        with suppress(RuntimeError):  # the loop is closed
            while True:
                try:
                    data = os.read(descriptor, 1 << 16)
                except OSError:
                    data = b""
                if not data:
                    loop.call_soon_threadsafe(reader.feed_eof)
                    return
                loop.call_soon_threadsafe(reader.feed_data, data)

    threading.Thread(target=read, name="polydraft-stdin", daemon=True).start()


@asynccontextmanager
async def _tasks() -> AsyncIterator[Callable[[Coroutine[object, None, None]], asyncio.Task[None]]]:
    """What starts tasks that are cancelled and awaited at the end."""
    running: set[asyncio.Task[None]] = set()

    def start(work: Coroutine[object, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        running.add(task)
        task.add_done_callback(running.discard)
        return task

    try:
        yield start
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
