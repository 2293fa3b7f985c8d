"""A server process with both default models: pairs of their own for folders, updates, failures."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from polydraft.lsp_server.messages import ACCEPTED
from polydraft.models.registry import DEFAULT_LARGE, DEFAULT_SMALL, load_registry
from polydraft.models.store import ensure_model
from tests.e2e.conftest import SERVE
from tests.e2e.editing import loaded
from tests.lsp_server import harness
from tests.lsp_server.harness import Editor

pytestmark = pytest.mark.weights

OPTIONS: dict[str, object] = {
    "promptTokens": 128,
    "newTokens": 16,
    "deadlineMs": 120_000,
    "speculate": False,
    "trusted": True,
    "thresholds": {"gate": 0.0},
}
# Short places, at some of which the two models disagree.
PLACES = (
    "def median(values):\n    values = sorted(values)\n    middle = ",
    "import re\n\n\ndef words(text):\n    return ",
    "def leap(year):\n    return ",
    "class Stack:\n    def __init__(self):\n        self.items = []\n\n"
    "    def peek(self):\n        return ",
    "def fibonacci(n):\n    a, b = ",
    "import json\n\n\ndef load(path):\n    with ",
    "def clamp(value, low, high):\n    return ",
    "def flatten(lists):\n    return ",
)


@pytest.fixture(scope="module")
def large_weights(weights: Path) -> Path:
    return ensure_model(load_registry().get(DEFAULT_LARGE))


@asynccontextmanager
async def served() -> AsyncIterator[Editor]:
    """An editor on a server process of its own, which says goodbye."""
    editor = Editor()
    await editor.client.start_io(*SERVE, "--stdio")
    process = editor.client._server
    assert process is not None
    try:
        yield editor
        await editor.leave()
        assert await asyncio.wait_for(process.wait(), harness.PATIENCE) == 0
    finally:
        if process.returncode is None:
            process.kill()
        await editor.client.stop()
        process._transport.close()  # type: ignore[attr-defined]


async def test_two_folders_have_a_pair_and_one_model_of_their_own_and_updates_keep_their_ids(
    large_weights: Path, tmp_path: Path
) -> None:
    paired, alone = tmp_path / "paired", tmp_path / "alone"
    for folder in (paired, alone):
        folder.mkdir()
    # Greedy speculation changes whatever the large model would have written otherwise.
    toml = f'large = "{DEFAULT_LARGE}"\npolicy = "spec"\n'
    (paired / "polydraft.toml").write_text(toml)
    calls: list[Any] = []
    async with served() as editor:
        editor.client.feature("polydraft/call")(lambda params: editor._note(calls, params))
        await editor.initialize(
            folders=[paired, alone], options={**OPTIONS, "stream": True, "calls": True}
        )
        await editor.until_paired(paired)
        await editor.until(lambda: editor.status_of(alone)["state"] == "ready")
        assert editor.status_of(alone)["large"] is None
        assert editor.status_of(paired)["large"] == DEFAULT_LARGE

        kept, by_itself = [], []
        for number, text in enumerate(PLACES):
            uri = (paired / f"{number}.py").as_uri()
            position = text.count("\n"), len(text) - text.rfind("\n") - 1
            editor.open(text, uri=uri)
            answer = await editor.drafts(*position, uri=uri)
            await judged(editor, calls, uri)

            other = (alone / f"{number}.py").as_uri()
            editor.open(text, uri=other)
            single = await editor.drafts(*position, uri=other)
            # The models have done something else since: what is to be told has been told.
            update = [each for each in editor.updates if each["uri"] == uri]
            kept.append((uri, position, answer, update[-1] if update else None))
            by_itself += single["drafts"]  # it may have nothing to say at a place
            assert (single["stats"]["policy"], single["stats"]["largePasses"]) == ("", 0)
            assert all(draft["parts"] == [] for draft in single["drafts"])
            if number == 0:  # later prompts hold text of the folder's other files
                # The pair answers at once with what the small model alone would have.
                assert answer["drafts"][0]["text"] == single["drafts"][0]["text"]

        assert by_itself
        changed = [each for each in kept if each[3] is not None]
        rewritten = 0
        assert {message["uri"] for message in editor.updates} == {uri for uri, *_ in changed}
        for _, _, answer, update in changed:
            before = [(draft["id"], draft["text"]) for draft in answer["drafts"]]
            after = [(draft["id"], draft["text"]) for draft in update["drafts"]]
            assert dict(before).keys() & dict(after).keys()
            rewritten += before != after  # else it is told that drafts are checked
            assert not any(draft["checked"] for draft in answer["drafts"])
            stats = update["stats"]
            assert stats["policy"] == "spec" and stats["largePasses"] >= 1
            first = update["drafts"][0]
            assert first["checked"] and first["parts"]
            assert sum(part["tokens"] for part in first["parts"]) == first["tokenCount"]
        assert rewritten, "the large model changed nothing anywhere"
        wrote = [part["origin"] for *_, u in changed for d in u["drafts"] for part in d["parts"]]
        assert set(wrote) == {"small", "large"}

        # A draft may be accepted by the id of the update, whether the large model made it or not.
        for draft in changed[-1][3]["drafts"]:
            await editor.client.workspace_execute_command_async(
                types.ExecuteCommandParams(ACCEPTED, [draft["id"]])
            )
        assert editor.shown == []


async def judged(editor: Editor, calls: list[Any], uri: str) -> None:
    """Wait until the call for a document has ended; what is told of it may still be on its way."""
    await editor.until(lambda: any(call["uri"] == uri for call in calls))
    await editor.drafts(0, 0, uri="file:///nowhere.py")  # a round trip


async def test_a_large_model_with_broken_files_leaves_the_small_one_serving_and_says_so(
    large_weights: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in large_weights.iterdir():
        if file.suffix == ".safetensors":
            with file.open("rb") as whole:
                (broken / file.name).write_bytes(whole.read(1_000_000))
        elif file.is_file():
            shutil.copy(file, broken / file.name)
    async with served() as editor:
        options = {**OPTIONS, "large": str(broken)}
        await editor.initialize(root=tmp_path, options=options)
        await loaded(editor)
        await editor.until(lambda: editor.statuses[-1]["largeState"] == "error")
        status = editor.statuses[-1]
        assert (status["state"], status["model"]) == ("ready", DEFAULT_SMALL)
        assert f"The weights in {broken} are damaged" in status["largeMessage"]
        await editor.until(lambda: editor.shown)
        (message,) = editor.shown
        assert f"{DEFAULT_SMALL} drafts alone, since the large model" in message
        assert status["largeMessage"] in message

        uri = (tmp_path / "a.py").as_uri()
        editor.open(PLACES[0], uri=uri)
        answer = await editor.drafts(2, 13, uri=uri)
        assert answer["drafts"] and answer["stats"]["policy"] == ""
