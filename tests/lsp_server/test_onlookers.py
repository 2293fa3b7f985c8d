"""A user's session over real messages, and what is in the file afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from polydraft.lsp_server.acceptance import About, Outcome
from polydraft.lsp_server.acceptance_store import AcceptanceStore, Recorder
from tests.fakes import FakeCompleter, FakeProvider
from tests.lsp_server.harness import Editor, editing


def item(draft_id: str) -> dict[str, Any]:
    return {"command": {"title": "", "command": "polydraft.accepted", "arguments": [draft_id]}}


def tell(editor: Editor, method: str, draft_id: str, **more: Any) -> None:
    editor.client.protocol.notify(method, {"item": item(draft_id), **more})


@pytest.fixture
def store(tmp_path: Path) -> AcceptanceStore:
    return AcceptanceStore(tmp_path / "acceptance.sqlite3")


async def use(store: AcceptanceStore, **how: Any) -> None:
    """See a draft, take a word of it, see another one and let it go."""
    provider = FakeProvider(FakeCompleter(write=lambda request: ("one twö",)))
    recorder = Recorder(store)
    async with editing(provider, text="x = \n", recorder=recorder, **how) as editor:
        (draft,) = (await editor.drafts(0, 4))["drafts"]
        tell(editor, "textDocument/didShowCompletion", draft["id"])
        editor.insert(0, 4, "one")
        tell(editor, "textDocument/didPartiallyAcceptCompletion", draft["id"], acceptedLength=3)
        tell(editor, "polydraft/hidden", draft["id"])
        tell(editor, "polydraft/hidden", "nobody's")
        editor.client.protocol.notify("textDocument/didShowCompletion", {"item": None})
        assert (await editor.drafts(0, 7))["drafts"]  # the server goes on
    await asyncio.to_thread(recorder.close)


async def test_what_was_taken_is_kept_count_of(store: AcceptanceStore) -> None:
    await use(store, options={"metrics": True})
    (stored,) = store.read()
    outcome = stored.outcome
    assert outcome.about == About("qwen2.5-coder-0.5b", "", "greedy", "python")
    assert (outcome.characters, outcome.taken, outcome.kept) == (7, 3, (None, None))


async def test_nothing_is_kept_unless_the_user_wants_it(
    store: AcceptanceStore, tmp_path: Path
) -> None:
    await use(store)
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "polydraft.toml").write_text("metrics = true\n")
    await use(store, root=tmp_path / "w")
    assert not store.path.exists()


async def test_a_workspace_that_wants_it_is_told_whose_choice_it_is(tmp_path: Path) -> None:
    (tmp_path / "polydraft.toml").write_text("metrics = true\nk = 2\n")
    async with editing(FakeProvider(), root=tmp_path) as editor:
        await editor.until(lambda: editor.shown)
        assert "set in your editor's own settings only" in editor.shown[0]


def test_outcomes_have_room_for_numbers_and_names_only() -> None:
    assert set(Outcome.__slots__) == {"about", "shown_ms", "characters", "taken", "kept"}
