"""The server as most editors start it: over standard streams, from cold to goodbye."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from polydraft.completion.syntax import parses
from tests.e2e.conftest import SERVE
from tests.e2e.editing import OPTIONS, accepted_at, loaded
from tests.e2e.support import real_points
from tests.lsp_server import harness

pytestmark = pytest.mark.weights


async def test_a_cold_server_answers_at_once_says_loading_then_gives_drafts_that_parse(
    weights: Path, project: Path
) -> None:
    early, *points = real_points(project / "rich" / "text.py", 11)
    editor = harness.Editor()
    await editor.client.start_io(*SERVE, "--stdio")
    process = editor.client._server
    assert process is not None
    await editor.initialize(root=project, options=OPTIONS)

    editor.open(early.text, uri=early.uri)
    assert await editor.inline(*early.position, uri=early.uri) == []
    assert {status["state"] for status in editor.statuses} == {"loading"}
    editor.close(uri=early.uri)

    await loaded(editor)
    documents = [document for point in points for document in await accepted_at(editor, point)]
    assert len(set(documents)) == len(documents) >= 2.5 * len(points)
    parsed = sum(parses(document, "python") for document in documents)
    assert parsed >= 0.6 * len(documents)  # 72 % measured here (docs/measurements.md)

    await editor.leave()
    assert await asyncio.wait_for(process.wait(), harness.PATIENCE) == 0
    await editor.client.stop()
    process._transport.close()  # type: ignore[attr-defined]
