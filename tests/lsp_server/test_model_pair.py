"""The small model serves at once; the large one joins it, or does not, and the user knows why."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from lsprotocol import types

from polydraft.lsp_server.settings import ModelSettings, Switching
from tests.fakes import FakeCompleter, FakeProvider
from tests.lsp_server.harness import Editor, editing

PAIR: dict[str, object] = {"model": "small", "large": "large"}


def pairing() -> FakeProvider:
    small = FakeCompleter(write=lambda request: ["small"])
    large = FakeCompleter(write=lambda request: ["large"])
    return FakeProvider(others={"small": small, "large": large})


async def reload(editor: Editor) -> Any:
    return await editor.client.protocol.send_request_async("polydraft/reload", None)


def configure(editor: Editor, **settings: object) -> None:
    editor.client.workspace_did_change_configuration(
        types.DidChangeConfigurationParams(settings={"polydraft": settings})
    )


async def test_the_small_model_serves_while_the_large_one_loads_and_then_they_work_together() -> (
    None
):
    provider = pairing()
    provider.gates["large"] = threading.Event()
    options = {**PAIR, "policy": "spec", "thresholds": {"entropyReturn": 0.5}}
    async with editing(provider, text="x = ", options=options) as editor:
        assert await editor.inline(0, 4) == ["small"]
        await editor.until(lambda: editor.statuses[-1]["progress"] == 0.5)
        status = editor.statuses[-1]
        assert (status["state"], status["largeState"]) == ("ready", "loading")
        assert status["message"] == "small is ready; loading large."
        assert status["largeMessage"] == "Fetching the weights"
        provider.gates["large"].set()
        await editor.until_paired()
        assert await editor.inline(0, 4) == ["large"]  # not what is left of the small one's
        (pair,) = provider.pairs
        assert pair.switching == Switching("spec", (("entropy_return", 0.5),))
        assert editor.shown == []


async def test_the_large_model_is_not_asked_for_before_the_small_one_is_there() -> None:
    provider = pairing()
    provider.gate.clear()
    async with editing(provider, options=PAIR, ready=False) as editor:
        await editor.until(lambda: editor.statuses and editor.statuses[-1]["progress"])
        assert [model.name for model in provider.loads] == ["small"]
        status = editor.statuses[-1]
        assert (status["state"], status["largeState"]) == ("loading", "loading")
        assert status["largeMessage"] == "Waiting for small"
        provider.gate.set()
        await editor.until_paired()


async def test_without_the_small_model_there_is_none() -> None:
    provider = pairing()
    provider.errors_of["small"] = [OSError("Corrupt.")]
    async with editing(provider, text="x = ", options=PAIR, ready=False) as editor:
        await editor.until(lambda: editor.statuses and editor.statuses[-1]["state"] == "error")
        assert editor.statuses[-1]["largeState"] == "none"
        assert await editor.inline(0, 4) == []
        assert [model.name for model in provider.loads] == ["small"]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError("Damaged. Fetch it anew."), "Damaged. Fetch it anew."),
        (MemoryError("It needs 16 GB, and 7 GB are free."), "It needs 16 GB, and 7 GB are free."),
        (MemoryError(), "There is not enough memory for large. Choose a smaller model."),
    ],
)
async def test_a_large_model_that_cannot_be_loaded_leaves_the_small_one_and_one_message(
    error: Exception, says: str
) -> None:
    provider = pairing()
    provider.errors_of["large"] = [error]
    async with editing(provider, text="x = ", options=PAIR) as editor:
        await editor.until(lambda: editor.shown)
        await editor.until(lambda: editor.statuses[-1]["largeState"] == "error")
        status = editor.statuses[-1]
        assert (status["state"], status["largeMessage"]) == ("ready", says)
        assert status["message"] == f"small is ready, without large: {says}"
        assert await editor.inline(0, 4) == ["small"]
        assert editor.shown == [
            "polydraft: small drafts alone, since the large model large could not be loaded: "
            f"{says}"
        ]


async def test_models_that_cannot_work_together_leave_the_small_one_and_one_message() -> None:
    provider = pairing()
    provider.refusal = ValueError("Their tokenizers differ.")
    async with editing(provider, text="x = ", options=PAIR) as editor:
        await editor.until(lambda: editor.statuses[-1]["largeState"] == "error")
        assert editor.statuses[-1]["largeMessage"] == "Their tokenizers differ."
        assert await editor.inline(0, 4) == ["small"]
        (message,) = editor.shown
        assert "large" in message and "Their tokenizers differ." in message


async def test_a_reload_tries_the_large_model_again_and_tells_again_if_it_fails() -> None:
    provider = pairing()
    provider.errors_of["large"] = [OSError("No space."), OSError("No space.")]
    async with editing(provider, text="x = ", options=PAIR) as editor:
        await editor.until(lambda: len(editor.shown) == 1)
        status = await reload(editor)
        assert (status["state"], status["model"]) == ("ready", "small")
        await editor.until(lambda: len(editor.shown) == 2)
        await reload(editor)
        await editor.until_paired()
        assert await editor.inline(0, 4) == ["large"]
        assert [model.name for model in provider.loads] == ["small", "large", "large", "large"]


async def test_a_reload_joins_again_what_could_not_work_together() -> None:
    provider = pairing()
    provider.refusal = ValueError("Not now.")
    async with editing(provider, text="x = ", options=PAIR) as editor:
        await editor.until(lambda: editor.statuses[-1]["largeState"] == "error")
        provider.refusal = None
        await reload(editor)
        await editor.until_paired()
        assert len(provider.loads) == 2


async def test_the_small_policy_loads_no_large_model_and_no_large_model_needs_no_policy() -> None:
    for options in ({**PAIR, "policy": "small"}, {"model": "small", "policy": "large"}):
        provider = pairing()
        async with editing(provider, text="x = ", options=options) as editor:
            assert await editor.inline(0, 4) == ["small"]
            assert provider.loads == [ModelSettings("small")]
            status = editor.statuses[-1]
            assert (status["large"], status["largeState"]) == (None, "none")
            assert status["message"] == "small is ready."


async def test_a_large_model_that_is_no_longer_wanted_is_not_asked_any_more() -> None:
    provider = pairing()
    async with editing(provider, text="x = ", options=PAIR, ready=False) as editor:
        await editor.until_paired()
        assert await editor.inline(0, 4) == ["large"]
        configure(editor, large="none")
        await editor.until(lambda: editor.statuses[-1]["large"] is None)
        assert await editor.inline(0, 4) == ["small"]
        configure(editor, large="large")
        await editor.until_paired()
        assert await editor.inline(0, 4) == ["large"]
        assert len(provider.loads) == 2  # it was still there


async def test_where_the_device_and_the_weights_of_the_large_model_are_set_they_are_used() -> None:
    provider = pairing()
    options = {**PAIR, "largeDevice": "cpu", "largeWeights": "int8", "memoryGb": 4}
    async with editing(provider, options=options, ready=False) as editor:
        await editor.until_paired()
        assert provider.loads == [ModelSettings("small"), ModelSettings("large", "cpu", "int8")]
        assert provider.budgets == [4_000_000_000] * 2


async def test_what_a_pair_has_to_say_is_told_once_and_stays_in_the_status() -> None:
    notice = "The large model ran out of memory."
    provider = pairing()
    async with editing(provider, text="x = ", options=PAIR, ready=False) as editor:
        await editor.until_paired()
        provider.pairs[0].notices = [notice, notice]
        for column in (4, 3):
            await editor.inline(0, column)
        await editor.until(lambda: editor.statuses[-1]["largeState"] == "error")
        assert editor.statuses[-1]["state"] == "ready"
        assert editor.statuses[-1]["largeMessage"] == notice
        assert editor.shown == [f"polydraft: {notice}"]
        assert [each["largeMessage"] for each in editor.statuses].count(notice) == 1
        await reload(editor)
        await editor.until_paired()
        assert len(provider.pairs) == 2


async def test_each_model_that_loads_has_a_progress_bar_of_its_own() -> None:
    provider = pairing()
    provider.gates = {"small": threading.Event(), "large": threading.Event()}
    async with editing(provider, options=PAIR, ready=False, progress=True) as editor:
        for name, bars in (("small", 1), ("large", 2)):
            await editor.until(lambda bars=bars: halves(editor) == bars)  # type: ignore[misc]
            provider.gates[name].set()
        await editor.until_paired()
        await editor.until(lambda: editor.progress[-1]["kind"] == "end")
        ends = [value for value in editor.progress if value["kind"] != "report"]
        assert [value["kind"] for value in ends] == ["begin", "end"] * 2
        assert [value["title"] for value in ends[::2]] == ["polydraft: small", "polydraft: large"]


def halves(editor: Editor) -> int:
    """How many bars have come half the way."""
    begun = [value["kind"] == "begin" for value in editor.progress]
    half = [value.get("percentage") == 50 for value in editor.progress]
    last = max((i for i, begins in enumerate(begun) if begins), default=0)
    return sum(begun) if any(half[last:]) else 0


async def test_joining_blocks_nobody() -> None:
    provider = pairing()
    joining = threading.Event()
    make = provider.pair

    def slow_pair(*models: Any) -> Any:
        assert joining.wait(10)
        return make(*models)

    provider.pair = slow_pair  # type: ignore[method-assign]
    async with editing(provider, text="x = ", options=PAIR) as editor:
        await editor.until(lambda: editor.statuses[-1]["largeMessage"] == "Joining the two models")
        assert await asyncio.wait_for(editor.inline(0, 4), 5) == ["small"]
        joining.set()
        await editor.until_paired()
