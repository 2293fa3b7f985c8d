"""`polydraft serve`: settings of the command line become services, a transport and a log."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polydraft.lsp_server.failures import CommandError, UsageError

TOKEN_VARIABLE = "POLYDRAFT_TOKEN"
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int  # 0 takes a free one


def parse_address(text: str, option: str) -> Address:
    """Read `HOST:PORT` or `[IPV6]:PORT`; `UsageError` if it is neither."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"{option} takes HOST:PORT, for example 127.0.0.1:8765, not {text!r}.")
    return Address(host, int(port))


def read_token(file: Path | None) -> str | None:
    """The websocket's token from a file, else from the environment.

    Never from the command line: other users of the machine can read that.
    """
    if file is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip() or None
    token = file.read_text(encoding="utf-8").strip()
    if not token:
        raise CommandError(f"{file} is empty; write the access token into it.")
    return token


def start_log(file: Path | None, level: str) -> None:
    """Log to a file, else to standard error (standard output belongs to the protocol)."""
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    number = getattr(logging, level.upper())
    if file is not None:
        logging.basicConfig(filename=file, encoding="utf-8", level=number, format=form)
    else:
        logging.basicConfig(stream=sys.stderr, level=number, format=form)


def serve(
    *,
    tcp: Address | None = None,
    websocket: Address | None = None,
    token: str | None = None,
    origins: Sequence[str] = (),
    model: str | None = None,
) -> int:
    """Serve until the client leaves (stdio) or the process is interrupted; returns the exit code.

    Without an address the server speaks over the standard streams. `model` stands over every
    other setting of the model.
    """
    from polydraft.lsp_server.acceptance_store import AcceptanceStore, Recorder, store_path
    from polydraft.lsp_server.ngram_store import NGramStore
    from polydraft.lsp_server.server import PolydraftServer, create_server
    from polydraft.lsp_server.services import create_services
    from polydraft.lsp_server.surroundings import Surroundings
    from polydraft.lsp_server.transports import serve_stdio, serve_tcp, serve_websocket
    from polydraft.lsp_server.wiring import ModelProvider
    from polydraft.models.cache_dir import cache_root
    from polydraft.monitors.analysers.catalogue import create

    provider = ModelProvider()
    if model is not None:
        provider.registry.resolve(model)  # a wrong name is told here, not in an editor's log
    around = Surroundings()
    store = NGramStore(cache_root() / "ngrams")
    recorder = Recorder(AcceptanceStore(store_path()))
    services = create_services(provider, around.is_excluded, around.gather, store, create, recorder)

    def make_server() -> PolydraftServer:
        server = create_server(services)
        if model is not None:
            server.session.workspaces.fixed = {"model": model}
        return server

    try:
        if tcp is not None:
            asyncio.run(serve_tcp(tcp.host, tcp.port, make_server))
        elif websocket is not None:
            asyncio.run(
                serve_websocket(
                    websocket.host, websocket.port, make_server, token=token, origins=origins
                )
            )
        else:
            return asyncio.run(serve_stdio(make_server))
    except OSError as error:
        address = tcp or websocket
        if address is None:
            raise
        raise CommandError(
            f"Cannot listen on {address.host}:{address.port}: {error.strerror or error}. Choose"
            " another port, or 0 for a free one."
        ) from None
    finally:
        services.close()
    return 0
