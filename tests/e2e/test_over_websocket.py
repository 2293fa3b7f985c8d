"""The same real model behind a websocket: drafts that parse, and clients that come and go."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from polydraft.completion.syntax import parses
from tests.e2e.editing import accepted_at, begin
from tests.e2e.support import real_points
from tests.lsp_server import harness
from tests.lsp_server.harness import Editor

pytestmark = pytest.mark.weights


async def test_clients_come_and_go_and_get_drafts_that_parse(
    websocket_port: int, project: Path
) -> None:
    one, two, three = real_points(project / "rich" / "tree.py", 3)
    first = Editor()
    await first.client.start_ws("127.0.0.1", websocket_port)
    await begin(first, project)
    documents = [*await accepted_at(first, one), *await accepted_at(first, two)]
    assert len(set(documents)) == len(documents) >= 5
    assert sum(parses(document, "python") for document in documents) >= 0.8 * len(documents)

    vanishing = Editor()
    await vanishing.client.start_ws("127.0.0.1", websocket_port)
    await begin(vanishing, project)
    vanishing.open(three.text, uri=three.uri)
    unanswered = asyncio.ensure_future(vanishing.ask(*three.position, uri=three.uri))
    await asyncio.sleep(0)
    vanishing.client.protocol.writer._ws.transport.abort()  # type: ignore[union-attr]
    unanswered.cancel()

    assert len(await accepted_at(first, three)) >= 2
    await first.leave()
    await asyncio.wait_for(first.client.stop(), harness.PATIENCE)
    with suppress(Exception):
        await asyncio.wait_for(vanishing.client.stop(), harness.PATIENCE)
