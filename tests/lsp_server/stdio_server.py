"""A real server process on standard streams, with a fake model; started by test_transports.py.

It prints to standard output now and then, as careless libraries do. The model "large" takes its
time.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from polydraft.completion.types import Request
from polydraft.lsp_server.server import create_server
from polydraft.lsp_server.services import create_services
from polydraft.lsp_server.transports import serve_stdio
from tests.fakes import FakeCompleter, FakeProvider, no_context, nothing_excluded


def noisy(request: Request) -> list[str]:
    print("a careless print")
    os.write(1, b"a careless write of C code\n")
    return [f"{request.prefix[-1:]}{index}" for index in range(request.k)]


def slow(request: Request) -> list[str]:
    time.sleep(0.3)
    return [f"large {index}" for index in range(request.k)]


provider = FakeProvider(FakeCompleter(write=noisy), others={"large": FakeCompleter(write=slow)})
services = create_services(provider, nothing_excluded, no_context)
try:
    code = asyncio.run(serve_stdio(partial(create_server, services)))
finally:
    services.close()
sys.exit(code)
