"""The wait before a call that the next key would make useless; no clock but the tests' own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from polydraft.lsp_server.debounce import Debounce
from tests.fakes import FakeProvider
from tests.lsp_server.harness import editing


def typing(gaps: Iterable[float], draft_s: float | None) -> tuple[Debounce, float]:
    """A user who has pressed keys with these gaps between them, and the time of the last."""
    debounce, now = Debounce(), 100.0
    debounce.key(now)
    for gap in gaps:
        now += gap
        debounce.key(now)
    if draft_s is not None:
        debounce.drafted(draft_s)
    return debounce, now


def test_the_wait_is_a_quick_key_s_gap_less_the_model_s_time() -> None:
    debounce, now = typing([0.12, 0.1, 0.14, 0.12, 0.3, 0.12, 0.11, 0.12], 0.04)
    assert debounce.wait("x = fo", now) == pytest.approx(0.1125 - 0.04)
    assert debounce.wait("x = fo", now + 0.05) == pytest.approx(0.1125 - 0.04 - 0.05)


@pytest.mark.parametrize("prefix", ["x = ", "x.", "f(", "    ", "", "x = 1 +"])
def test_behind_a_word_there_is_none(prefix: str) -> None:
    debounce, now = typing([0.12] * 8, 0.04)
    assert debounce.wait(prefix, now) == 0
    assert debounce.wait(f"{prefix}a", now) > 0


def test_a_model_that_is_slower_than_the_keys_is_called_at_once() -> None:
    debounce, now = typing([0.12] * 8, 0.3)
    assert debounce.wait("fo", now) == 0


def test_the_model_s_time_follows_what_was_measured_last() -> None:
    debounce, now = typing([0.12] * 8, 0.3)
    for _ in range(4):
        debounce.drafted(0.02)
    assert debounce.wait("fo", now) == pytest.approx(0.12 - 0.02)


def test_where_nothing_is_known_there_is_none() -> None:
    for gaps, draft_s in (([], 0.04), ([0.12] * 3, 0.04), ([0.12] * 8, None), ([2.0] * 8, 0.04)):
        debounce, now = typing(gaps, draft_s)
        assert debounce.wait("fo", now) == 0


def test_the_wait_of_a_slow_typist_is_bounded() -> None:
    debounce, now = typing([0.8] * 8, 0.01)
    assert debounce.wait("fo", now) == 0.15
    assert debounce.wait("fo", now + 0.2) == 0  # an editor has waited itself


async def test_a_key_that_follows_soon_takes_the_call_of_the_one_before() -> None:
    """Wrong only if 20 ms on the event loop become more than 100 ms."""
    provider = FakeProvider()
    async with editing(provider, text="") as editor:
        for at in range(8):  # behind spaces, which are called for at once
            editor.insert(0, 2 * at, "+ ")
            await editor.inline(0, 2 * at + 2, automatic=True)
            await asyncio.sleep(0.16)
        calls = len(provider.completer.requests)
        assert calls == 8
        editor.insert(0, 16, "f")
        first = asyncio.ensure_future(editor.inline(0, 17, automatic=True))
        await asyncio.sleep(0.02)
        editor.insert(0, 17, "g")
        assert len(await editor.inline(0, 18, automatic=True)) == 3
        assert await first == []
        assert [each.prefix[16:] for each in provider.completer.requests[calls:]] == ["fg"]

        # Who insists does not wait for keys.
        editor.insert(0, 18, "h")
        insisting = asyncio.ensure_future(editor.drafts(0, 19, k=3))
        await asyncio.sleep(0.02)
        assert provider.completer.requests[-1].prefix.endswith("fgh")
        await insisting
