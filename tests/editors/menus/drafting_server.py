"""The real server with drafts that are fixed: `drafts.json` of the working directory.

    {"behind": "y = ", "drafts": ["foo(1)", "bar"]}

stands for these drafts behind the last "y = ", and behind "y = f" for the rest of the first.
"""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from polydraft.completion.types import Request
from polydraft.lsp_server.server import create_server
from polydraft.lsp_server.services import create_services
from polydraft.lsp_server.transports import serve_stdio
from tests.fakes import FakeCompleter, FakeProvider, no_context, nothing_excluded


def drafts(request: Request) -> list[str]:
    fixed = json.loads(Path("drafts.json").read_text("utf-8"))
    _, found, typed = request.prefix.rpartition(fixed["behind"])
    texts: list[str] = fixed["drafts"] if found else []
    return [text[len(typed) :] for text in texts if text.startswith(typed) and text != typed]


provider = FakeProvider(FakeCompleter(write=drafts))
services = create_services(provider, nothing_excluded, no_context)
try:
    asyncio.run(serve_stdio(partial(create_server, services)))
finally:
    services.close()
