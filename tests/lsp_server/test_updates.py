"""With a pair, drafts are shown before they are checked, and improved without ever being wrong."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from polydraft.completion.types import (
    Completion,
    Draft,
    Origin,
    Part,
    Request,
    Switch,
    SwitchEvent,
)
from polydraft.lsp_server import workspace_ngrams
from polydraft.lsp_server.asks import Answer, Ask, answered
from polydraft.lsp_server.documents import Document
from polydraft.lsp_server.draft_cache import DraftCache, Place
from polydraft.lsp_server.flights import Flight, Found
from polydraft.lsp_server.model_pair import InUse
from polydraft.lsp_server.turns import Asked, Turns
from polydraft.lsp_server.updates import Updates
from tests.fakes import FakeCompleter, FakeProvider, draft
from tests.lsp_server.harness import URI, Editor, editing
from tests.lsp_server.test_typing_on import AtRandom, hashed

PAIR: dict[str, object] = {"model": "small", "large": "large"}
STREAM: dict[str, object] = {**PAIR, "stream": True}


class Two(FakeProvider):
    """Two models that write what they are told; the large one is held until it is let go."""

    def __init__(self, small: Any, large: Any) -> None:
        models = {
            name: FakeCompleter(write=texts if callable(texts) else lambda request, t=texts: t)
            for name, texts in (("small", small), ("large", large))
        }
        super().__init__(others=models)
        self.small, self.large = models["small"], models["large"]
        self.large.gate.clear()

    async def looking(self, times: int = 1) -> None:
        """Wait until the large model has been asked so often."""
        await asyncio.to_thread(self.large.wait_for, lambda fake: len(fake.requests) >= times)


@asynccontextmanager
async def pairing(
    provider: Two, options: dict[str, object] = STREAM, **how: Any
) -> AsyncIterator[Editor]:
    how = {"text": "x = ", "ready": False, **how}
    async with editing(provider, options=options, **how) as editor:
        await editor.until_paired()
        yield editor


def texts(message: dict[str, Any]) -> list[str]:
    return [each["text"] for each in message["drafts"]]


def ids(message: dict[str, Any]) -> list[str]:
    return [each["id"] for each in message["drafts"]]


async def settled(editor: Editor, provider: Two) -> None:
    """Wait until whatever is told of the large model's drafts has been told."""
    provider.large.gate.set()
    await asyncio.to_thread(provider.large.wait_for, lambda fake: fake.finished)
    for _ in range(3):  # round trips
        await editor.inline(9, 9)


# --- at the place that was asked about ---


async def test_who_wants_drafts_streamed_is_answered_at_once_and_told_what_became_of_them() -> None:
    provider = Two(["foo(a)", "bar", "baz"], ["foo(b)", "bar", "qux"])
    async with pairing(provider) as editor:
        answer = await editor.drafts(0, 4)
        assert provider.large.finished == 0
        assert texts(answer) == ["foo(a)", "bar", "baz"]
        assert editor.updates == []
        provider.large.gate.set()
        await editor.until(lambda: editor.updates)
        (update,) = editor.updates
        assert texts(update) == ["foo(b)", "bar", "qux"]
        assert ids(update) == ids(answer)
        assert (update["uri"], update["version"], update["final"]) == (URI, 1, True)
        stats = update["stats"]
        assert (stats["policy"], stats["largePasses"], stats["largeTokens"]) == ("bild", 2, 5)
        assert stats["escalated"] == "confidence: 0.10, threshold 0.20"


def arriving(editor: Editor) -> list[tuple[str, Any]]:
    """Answers and updates with the request's id, as they come over the wire."""
    protocol, log = editor.client.protocol, list[tuple[str, Any]]()
    handle = protocol.handle_message

    def listen(message: Any) -> None:
        if getattr(message, "method", "") == "polydraft/drafts":
            log.append(("update", message.params["requestId"]))
        elif hasattr(message, "result"):
            log.append(("answer", message.id))
        handle(message)

    protocol.handle_message = listen  # type: ignore[method-assign]
    return log


async def test_an_update_names_its_request_and_never_overtakes_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider = Two(["foo"], ["bar"])
    note = Updates.answered

    def land_at_once(self: Updates, *about: Any) -> None:
        """Have the large model land in the very moment in which the answer is given."""
        note(self, *about)
        provider.large.gate.set()
        provider.large.wait_for(lambda fake: fake.finished == 1)
        time.sleep(0.1)

    monkeypatch.setattr(Updates, "answered", land_at_once)
    async with pairing(provider) as editor:
        log = arriving(editor)
        (item,) = (await editor.ask(0, 4, id=77)).items
        assert item.insert_text == "foo"
        await editor.until(lambda: editor.updates)
        assert [kind for kind, id in log if id == 77] == ["answer", "update"]


SMALLS = (Part(Origin.SMALL, 1, 3),)  # all of "foo"
LARGES = (Part(Origin.LARGE, 1, 3),)
TAKEN_OVER = (SwitchEvent(Switch.HAND_OVER, 0, "confidence", 0.1, 0.2),)


@pytest.mark.parametrize("parts", [(), SMALLS])
async def test_nothing_is_told_if_the_large_model_changes_nothing(parts: tuple[Part, ...]) -> None:
    """Nor that what was the small model's still is."""
    final = replace(draft("foo"), parts=parts, mean_logprob=-2.5)
    provider = Two(["foo", "bar"], [final, "bar"])
    async with pairing(provider) as editor:
        assert await editor.inline(0, 4) == ["foo", "bar"]
        await settled(editor, provider)
        assert editor.updates == []
        answer = await editor.drafts(0, 4)
        assert [each["checked"] for each in answer["drafts"]] == [False, False]


@pytest.mark.parametrize(
    "confirmed",
    [
        replace(draft("foo"), checked=True, parts=SMALLS, mean_logprob=-2.5),
        replace(draft("foo"), parts=LARGES),
        replace(draft("foo"), parts=SMALLS, switches=TAKEN_OVER),
    ],
    ids=["checked", "written by the large one", "switched"],
)
async def test_a_draft_that_was_confirmed_is_told_under_its_id(confirmed: Draft) -> None:
    provider = Two(["foo", "bar"], [confirmed, "bar"])
    async with pairing(provider) as editor:
        answer = await editor.drafts(0, 4)
        assert [each["checked"] for each in answer["drafts"]] == [False, False]
        await settled(editor, provider)
        (update,) = editor.updates
        assert (ids(update), texts(update)) == (ids(answer), texts(answer))
        assert [each["checked"] for each in update["drafts"]] == [confirmed.checked, False]
        first = update["drafts"][0]
        assert first["meanLogprob"] == confirmed.mean_logprob
        assert [part["origin"] for part in first["parts"]] == [
            part.origin.value for part in confirmed.parts
        ]
        assert len(first["switches"]) == len(confirmed.switches)


async def test_that_a_draft_is_confirmed_is_told_to_who_is_typing_through_it_once() -> None:
    provider = Two(["foo"], [replace(draft("foo"), checked=True, parts=SMALLS)])
    async with pairing(provider) as editor:
        await editor.inline(0, 4)
        editor.insert(0, 4, "f")
        answer = await editor.drafts(0, 5)
        assert [each["checked"] for each in answer["drafts"]] == [False]
        await settled(editor, provider)
        (update,) = editor.updates
        assert (ids(update), texts(update)) == (ids(answer), ["oo"])
        assert update["drafts"][0]["checked"] is True
        assert update["drafts"][0]["parts"] == [{"origin": "small", "tokens": 1, "end": 2}]
        editor.insert(0, 5, "o")
        later = await editor.drafts(0, 6)
        assert [each["checked"] for each in later["drafts"]] == [True]
        await settled(editor, provider)
        assert len(editor.updates) == 1


async def test_a_confirmed_draft_that_was_ruled_out_by_typing_is_not_told() -> None:
    provider = Two(["foo", "fab"], [replace(draft("foo"), checked=True), "fab"])
    async with pairing(provider) as editor:
        await editor.inline(0, 4)
        editor.insert(0, 4, "fa")
        assert await editor.inline(0, 6) == ["fab"]
        await settled(editor, provider)
        assert editor.updates == []


async def test_nothing_is_told_if_the_large_model_was_not_asked() -> None:
    provider = Two(["foo"], ["bar"])
    provider.large.gate.set()
    async with pairing(provider) as editor:
        (pair,) = provider.pairs
        pair.announces = False
        assert await editor.inline(0, 4) == ["bar"]
        await settled(editor, provider)
        assert editor.updates == []


async def test_who_does_not_want_drafts_streamed_is_answered_once_with_the_final_ones() -> None:
    provider = Two(["foo", "bar"], ["foo", "qux"])
    async with pairing(provider, PAIR) as editor:
        for automatic, column in ((False, 4), (True, 3)):
            answer = asyncio.ensure_future(editor.drafts(0, column, automatic=automatic))
            await provider.looking(1 if column == 4 else 2)
            assert (await editor.drafts(9, 9))["drafts"] == []  # a round trip
            assert not answer.done()
            provider.large.gate.set()
            assert texts(await answer) == ["foo", "qux"]
            provider.large.gate.clear()
        assert editor.updates == editor.streamed == []


async def test_who_does_not_want_them_streamed_waits_while_typing_through_them_too() -> None:
    provider = Two(["foo", "bar"], ["foz", "bar"])
    async with pairing(provider, PAIR) as editor:
        older = asyncio.ensure_future(editor.inline(0, 4, automatic=True))
        await provider.looking()
        editor.insert(0, 4, "f")
        newer = asyncio.ensure_future(editor.drafts(0, 5, automatic=True))
        assert await older == []
        assert (await editor.drafts(9, 9))["drafts"] == []
        assert not newer.done()
        provider.large.gate.set()
        assert texts(await newer) == ["oz"]
        assert len(provider.large.requests) == 1


async def test_the_deadline_counts_for_both_models_together() -> None:
    provider = Two(["foo"], ["bar"])
    async with pairing(provider, {**PAIR, "deadlineMs": 300}) as editor:
        assert await editor.inline(0, 4) == ["bar"]  # a fake returns what it has


async def test_a_draft_that_does_not_fit_before_what_the_editor_closed_shifts_no_ids() -> None:
    def small(request: Request) -> list[str]:
        return ["zzz"] if request.prefix == "x = " else ["a) + [b", "a", "b"]

    def large(request: Request) -> list[str]:
        return ["zzz"] if request.prefix == "x = " else ["a + b", "c", "d"]

    provider = Two(small, large)
    provider.large.gate.set()
    async with pairing(provider, text="x = \n") as editor:
        await editor.inline(0, 4)
        provider.large.gate.clear()
        editor.insert(0, 4, "f([])")
        answer = await editor.drafts(0, 7)
        assert texts(answer) == ["a", "b"]
        provider.large.gate.set()
        await editor.until(lambda: editor.updates)
        (update,) = editor.updates
        by_id = dict(zip(ids(update), texts(update), strict=True))
        assert [by_id[each] for each in ids(answer)] == ["c", "d"]
        assert texts(update) == ["a + b", "c", "d"]


# --- typed on meanwhile ---


async def test_typing_through_is_answered_at_once_and_the_newest_request_is_updated() -> None:
    provider = Two(["foo(a)", "bar", "fa"], ["foo(b)", "fox", "bar"])
    async with pairing(provider) as editor:
        await editor.inline(0, 4)
        editor.insert(0, 4, "f")
        answer = await editor.drafts(0, 5)
        assert texts(answer) == ["oo(a)", "a"]
        assert provider.large.finished == 0 and len(provider.large.requests) == 1
        provider.large.gate.set()
        await editor.until(lambda: editor.updates)
        (update,) = editor.updates
        assert texts(update) == ["oo(b)", "ox"]
        assert update["version"] == 2
        assert update["drafts"][0]["range"]["start"] == {"line": 0, "character": 5}
        first, second = ids(update)
        assert first == ids(answer)[0]
        assert second not in ids(answer)  # made of "bar", which was ruled out
        assert second.split(".")[0] == first.split(".")[0]


async def test_drafts_that_contradict_what_was_typed_are_never_told() -> None:
    provider = Two(["foo(a)", "fa"], ["bar", "gnu"])
    async with pairing(provider) as editor:
        await editor.inline(0, 4)
        editor.insert(0, 4, "f")
        assert await editor.inline(0, 5) == ["foo(a)", "fa"]
        await settled(editor, provider)
        assert editor.updates == []


async def test_of_improved_drafts_only_those_that_fit_are_told() -> None:
    provider = Two(["foo(a)", "fa"], ["foo(b)", "gnu"])
    async with pairing(provider) as editor:
        await editor.inline(0, 4)
        editor.insert(0, 4, "f")
        answer = await editor.drafts(0, 5)
        provider.large.gate.set()
        await editor.until(lambda: editor.updates)
        (update,) = editor.updates
        assert list(zip(ids(update), texts(update), strict=True)) == [(ids(answer)[0], "oo(b)")]


async def test_typing_another_way_ends_the_large_models_work_and_its_drafts_are_not_told() -> None:
    provider = Two(
        lambda request: ["foo"] if request.prefix == "x = " else ["bar"],
        lambda request: ["fox"] if request.prefix == "x = " else ["baz"],
    )
    async with pairing(provider) as editor:
        await editor.inline(0, 4)
        editor.insert(0, 4, "y")
        assert await editor.inline(0, 5) == ["ybar"]
        await asyncio.to_thread(provider.large.wait_for, lambda fake: fake.cancelled == 1)
        provider.large.gate.set()
        await editor.until(lambda: editor.updates)
        assert [texts(update) for update in editor.updates] == [["baz"]]


async def test_the_improved_drafts_are_what_later_requests_get() -> None:
    provider = Two(["foo(a)"], ["foo(b)"])
    async with pairing(provider) as editor:
        await editor.inline(0, 4)
        await settled(editor, provider)
        editor.insert(0, 4, "foo")
        answer = await editor.drafts(0, 7)
        assert texts(answer) == ["(b)"]
        assert answer["stats"]["fromCache"] is True
        assert len(provider.large.requests) == 1


async def test_a_closed_document_is_not_told_of_updates() -> None:
    provider = Two(["foo"], ["bar"])
    async with pairing(provider) as editor:
        await editor.inline(0, 4)
        editor.close()
        await asyncio.to_thread(provider.large.wait_for, lambda fake: fake.cancelled == 1)
        for _ in range(3):
            await editor.inline(0, 4)
        assert editor.updates == []


async def test_no_update_is_of_drafts_that_changed_settings_may_forbid() -> None:
    provider = Two(["foo"], ["bar"])
    async with pairing(provider) as editor:
        await editor.inline(0, 4)
        editor.client.workspace_did_change_configuration(
            types.DidChangeConfigurationParams(settings={"polydraft": {"exclude": ["a.py"]}})
        )
        await editor.inline(9, 9)  # a round trip: the settings have changed
        await settled(editor, provider)
        assert editor.updates == []


async def test_drafts_that_idle_time_adds_do_not_change_an_answer() -> None:
    provider = Two(
        lambda request: ["foo(a)", "bar"] if request.prefix == "x = " else ["q)", "r)"],
        lambda request: ["foo(a)", "bar"] if request.prefix == "x = " else ["s)", "t)"],
    )
    provider.large.gate.set()
    async with pairing(provider, {**STREAM, "speculate": True}) as editor:
        await editor.inline(0, 4)
        editor.insert(0, 4, "foo(")
        assert texts(await editor.drafts(0, 8)) == ["a)"]
        await asyncio.to_thread(
            provider.large.wait_for,
            lambda fake: "x = foo(" in {each.prefix for each in fake.requests},
        )
        await settled(editor, provider)
        assert editor.updates == []
        assert texts(await editor.drafts(0, 8))[:2] == ["s)", "t)"]


async def test_a_request_that_still_waits_is_answered_and_not_updated() -> None:
    turns, cache, told = Turns(), DraftCache(), list[Answer]()
    updates = Updates(turns, cache, lambda ask, answer: None)
    document = Document(URI, "x = ", 1, "python")
    model = FakeCompleter()

    def ask() -> Asked:
        request = Request("x = ", "")
        asked = Asked(turns.begin(URI), Ask(document, 4, on_update=told.append), request)
        turns.take(asked)
        return asked

    flight = Flight(URI, Place("x = ", ""), 3, InUse(model, model))
    early, final = draft("foo"), draft("bar")
    flight.hear_early(Found((early,)))
    flight.land(Found((final,)), Completion((final,)), None)
    cache.store(URI, "x = ", "", 3, [final])
    first = ask()
    updates.answered(first, answered(first.turn.serial, [early]))
    second = ask()
    updates.improved(flight)
    assert told == []
    updates.answered(second, answered(second.turn.serial, [early]))
    updates.improved(flight)
    assert [answer.drafts for answer in told] == [((f"{second.turn.serial}.0", final),)]
    updates.improved(flight)
    assert len(told) == 1


# --- accepting ---


async def test_a_draft_can_be_accepted_by_its_id_before_and_after_the_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_ngrams, "PAUSE", 0.01)
    provider = Two(["wombat(a)", "gibbon"], ["wombat(b)", "gibbon"])
    uri = (tmp_path / "a.py").as_uri()
    async with pairing(provider, text=None, root=tmp_path) as editor:
        editor.open("x = \n", uri=uri)
        before = await editor.drafts(0, 4, uri=uri)

        async def accept(draft_id: str) -> None:
            await editor.client.workspace_execute_command_async(
                types.ExecuteCommandParams("polydraft.accepted", [draft_id])
            )

        await accept(ids(before)[1])
        provider.large.gate.set()
        await editor.until(lambda: editor.updates)
        (update,) = editor.updates
        assert ids(update) == ids(before)
        await accept(ids(update)[0])
        await asyncio.to_thread(
            provider.small.wait_for,
            lambda fake: {"x = gibbon", "x = wombat(b)"} <= set(fake.encoded),
        )
        assert "x = wombat(a)" not in provider.small.encoded


# --- what is known of a draft ---


async def test_parts_and_switches_reach_the_client_in_its_own_units_and_move_with_typing() -> None:
    event = SwitchEvent(Switch.HAND_OVER, 2, "confidence", 0.1, 0.2)
    made = replace(
        draft("fo😀 + bar"),
        parts=(Part(Origin.SMALL, 2, 3), Part(Origin.LARGE, 3, 9)),
        switches=(event, replace(event, value=float("inf"))),
        checked=True,
    )
    provider = Two([made], [made])
    provider.large.gate.set()
    async with pairing(provider, PAIR) as editor:
        (offered,) = (await editor.drafts(0, 4))["drafts"]
        assert offered["checked"] is True
        assert offered["parts"] == [
            {"origin": "small", "tokens": 2, "end": 4},
            {"origin": "large", "tokens": 3, "end": 10},
        ]
        assert offered["switches"][0] == {
            "kind": "hand over",
            "at": 2,
            "statistic": "confidence",
            "value": 0.1,
            "threshold": 0.2,
        }
        assert offered["switches"][1]["value"] is None
        editor.insert(0, 4, "fo😀 ")
        (offered,) = (await editor.drafts(0, 9))["drafts"]
        assert offered["text"] == "+ bar"
        assert offered["parts"] == [{"origin": "large", "tokens": 3, "end": 5}]


# --- idle time ---


async def test_after_a_call_was_cut_short_idle_time_brings_both_prompts_up_to_date() -> None:
    provider = Two(["foo"], ["bar"])
    async with pairing(provider, PAIR) as editor:
        request = asyncio.ensure_future(editor.ask(0, 4, id=77))
        await provider.looking()
        editor.insert(0, 4, "f")
        editor.client.cancel_request(types.CancelParams(id=77))  # and no request follows
        with pytest.raises(JsonRpcException, match="cancel"):
            await request
        await asyncio.to_thread(provider.large.wait_for, lambda fake: fake.prefills)
        (prefill,) = provider.large.prefills
        assert (prefill.prefix, prefill.anchor) == ("x = ", 4)
        assert provider.small.prefills == [prefill]
        assert provider.large.cancelled == 1


async def test_a_large_model_that_was_not_asked_reads_the_prompt_in_idle_time() -> None:
    """So that asking it is cheap when the next draft is less sure."""
    provider = Two(["foo"], ["bar"])
    async with pairing(provider) as editor:
        (pair,) = provider.pairs
        pair.asks = False
        await editor.inline(0, 4)
        await asyncio.to_thread(provider.large.wait_for, lambda fake: fake.prefills)
        (prefill,) = provider.large.prefills
        assert (prefill.prefix, prefill.anchor) == ("x = ", 4)
        assert not provider.large.requests


async def test_no_prompt_is_computed_in_idle_time_for_a_call_that_came_to_its_end() -> None:
    provider = Two(["foo"], ["bar"])
    async with pairing(provider) as editor:
        await editor.inline(0, 4)
        await settled(editor, provider)
        assert provider.large.prefills == provider.small.prefills == []


# --- never a wrong draft ---


def improved(request: Request) -> list[Draft]:
    """Other drafts for the same place, some of them as they were."""
    dice = random.Random(f"{request.suffix}|{request.prefix}")
    other = hashed(replace(request, prefix=request.prefix + "!", anchor=None))
    return [
        old if dice.random() < 0.5 else new
        for old, new in zip(hashed(request), other, strict=False)
    ]


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_typed_no_update_contradicts_it(seed: int) -> None:
    provider = Two(hashed, improved)
    dice = random.Random(seed)
    told = 0
    async with pairing(provider, text="x = \ny = (1)\n") as editor:
        typist = AtRandom(editor, seed)
        at = {1: (typist.left, typist.right)}
        for version in range(2, 92):
            typist.key()
            at[version] = (typist.left, typist.right)
            provider.large.gate.clear()
            answer = typist.ask()
            await asyncio.sleep(dice.choice([0, 0.01, 0.02]))
            if typist.patient():
                provider.large.gate.set()
                await answer
                await asyncio.sleep(0.005)
        await settled(editor, provider)
        asked = list(provider.large.requests)
    stood_for = {
        request.prefix + each.text + request.suffix[each.replace :]
        for request in asked
        for each in improved(request)
    }
    for update in editor.updates:
        left, right = at[update["version"]]
        # A draft that closes nothing goes between the brackets that the editor closed.
        between = {
            request.prefix + each.text + right
            for request in asked
            for each in improved(request)
            if not each.replace and ")" not in each.text and right.endswith(request.suffix)
        }
        for each in update["drafts"]:
            start, end = (each["range"][name]["character"] for name in ("start", "end"))
            assert left + each["text"] + right[end - start :] in stood_for | between
            told += 1
    assert told > 10
