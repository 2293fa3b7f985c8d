"""An editor at work on a real project: the harness' editor, with a workspace and real documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lsprotocol import types

from tests.e2e.support import Point, accept, position_after
from tests.lsp_server.harness import Editor, connected

# Enough context for real drafts, and no deadline that a busy machine could miss.
OPTIONS = {"promptTokens": 384, "newTokens": 24, "deadlineMs": 120_000}


@asynccontextmanager
async def at_work(port: int, project: Path) -> AsyncIterator[Editor]:
    """An editor on a TCP connection whose server is ready."""
    async with connected(port) as editor:
        await begin(editor, project)
        yield editor


async def begin(editor: Editor, project: Path) -> None:
    await editor.initialize(root=project, options=OPTIONS)
    await loaded(editor)


async def loaded(editor: Editor) -> None:
    """Wait until the model is ready; an error ends the wait."""
    await editor.until(lambda: editor.statuses and editor.statuses[-1]["state"] != "loading")
    assert editor.statuses[-1]["state"] == "ready", editor.statuses[-1]


def change(editor: Editor, uri: str, version: int, text: str) -> None:
    """Replace the whole text of an open document."""
    editor.client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            types.VersionedTextDocumentIdentifier(version=version, uri=uri),
            [types.TextDocumentContentChangeWholeDocument(text)],
        )
    )


def type_at(editor: Editor, uri: str, version: int, before: str, typed: str) -> None:
    """Type behind `before`, as an incremental change."""
    line, column = position_after(before)
    here = types.Position(line, column)
    edit = types.TextDocumentContentChangePartial(range=types.Range(here, here), text=typed)
    editor.client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            types.VersionedTextDocumentIdentifier(version=version, uri=uri), [edit]
        )
    )


async def drafts_at(editor: Editor, before: str, uri: str, **more: Any) -> Any:
    """The answer to `polydraft/drafts` behind `before`."""
    return await editor.drafts(*position_after(before), uri=uri, **more)


async def accepted(editor: Editor, uri: str, text: str, place: tuple[int, int]) -> list[str]:
    """Open a document, ask for inline completion; the documents that accepting each item gives."""
    editor.open(text, uri=uri)
    answer = await editor.ask(*place, uri=uri)
    editor.close(uri=uri)
    documents = []
    for item in answer.items:
        assert item.range is not None and isinstance(item.insert_text, str)
        range_ = {
            "start": {"line": item.range.start.line, "character": item.range.start.character},
            "end": {"line": item.range.end.line, "character": item.range.end.character},
        }
        documents.append(accept(text, range_, item.insert_text))
    return documents


async def accepted_at(editor: Editor, point: Point) -> list[str]:
    return await accepted(editor, point.uri, point.text, point.position)
