"""What a user who types on is served: calls that go on, drafts made ahead, never a wrong draft."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from polydraft.completion.types import Request
from tests.fakes import FakeCompleter, FakeProvider, draft
from tests.lsp_server.harness import URI, Editor, editing

AHEAD = {"speculate": True}


async def seen(completer: FakeCompleter, condition: Any) -> None:
    await asyncio.to_thread(completer.wait_for, condition)


def writing(*texts: Any) -> FakeProvider:
    return FakeProvider(FakeCompleter(write=lambda request: texts[: request.k]))


def places(provider: FakeProvider) -> list[tuple[str, str]]:
    return [(request.prefix, request.suffix) for request in provider.completer.requests]


def slow(*texts: str) -> tuple[FakeProvider, threading.Event]:
    """A model that has no draft, not even its first, before it is let go."""
    go_on = threading.Event()

    def write(request: Request) -> list[str]:
        assert go_on.wait(10)
        return list(texts)

    return FakeProvider(FakeCompleter(write=write)), go_on


# --- comments and strings ---


async def test_in_comments_and_strings_drafts_come_only_if_asked_for() -> None:
    provider = writing("foo")
    async with editing(provider, text="x = 'a ") as editor:
        assert await editor.inline(0, 7, automatic=True) == []
        assert places(provider) == []
        assert await editor.inline(0, 7) == ["foo"]
    async with editing(provider, text="x = 'a ", options={"quietIn": ["comments"]}) as editor:
        assert await editor.inline(0, 7, automatic=True) == ["foo"]


async def test_a_draft_on_display_goes_on_into_its_strings() -> None:
    provider = writing("'a b'")
    async with editing(provider, text="x = ") as editor:
        assert await editor.inline(0, 4, automatic=True) == ["'a b'"]
        editor.insert(0, 4, "'a")
        drafts = (await editor.drafts(0, 6, automatic=True))["drafts"]
        assert [each["text"] for each in drafts] == [" b'"]


# --- calls that go on ---


async def test_a_key_joins_the_call_under_way_if_its_drafts_begin_so() -> None:
    provider, go_on = slow("foo(a)", "bar", "foo(b)")
    async with editing(provider, text="x = ") as editor:
        older = asyncio.ensure_future(editor.inline(0, 4))
        await seen(provider.completer, lambda fake: len(fake.requests) == 1)
        editor.insert(0, 4, "f")
        newer = asyncio.ensure_future(editor.drafts(0, 5))
        assert await older == []
        go_on.set()
        answer = await newer
        assert [each["text"] for each in answer["drafts"]] == ["oo(a)", "oo(b)"]
        assert answer["stats"]["fromCache"] is True
        assert places(provider) == [("x = ", "")]


async def test_a_call_whose_first_draft_begins_otherwise_is_given_up() -> None:
    provider, go_on = slow("foo", "bar")
    provider.completer.gate.clear()
    async with editing(provider, text="x = ") as editor:
        older = asyncio.ensure_future(editor.inline(0, 4))
        await seen(provider.completer, lambda fake: len(fake.requests) == 1)
        editor.insert(0, 4, "y")
        newer = asyncio.ensure_future(editor.inline(0, 5))
        await older
        go_on.set()
        await seen(provider.completer, lambda fake: len(fake.requests) == 2)
        provider.completer.gate.set()
        assert await newer == ["yfoo", "ybar"]
        assert provider.completer.cancelled == 1
        assert places(provider) == [("x = ", ""), ("x = y", "")]


async def test_a_call_is_given_up_as_soon_as_its_likeliest_draft_goes_another_way() -> None:
    provider, go_on = slow("foo")
    provider.completer.muse = lambda request: "fo" if request.prefix == "x = " else ""
    async with editing(provider, text="x = ") as editor:
        asyncio.ensure_future(editor.inline(0, 4))
        await seen(provider.completer, lambda fake: len(fake.requests) == 1)
        editor.insert(0, 4, "fy")
        newer = asyncio.ensure_future(editor.inline(0, 6))
        editor.insert(0, 6, "z", version=3)
        newest = asyncio.ensure_future(editor.drafts(0, 7))
        assert await newer == []
        go_on.set()
        assert (await newest)["stats"]["fromCache"] is False
        assert places(provider) == [("x = ", ""), ("x = fyz", "")]


async def test_the_first_draft_of_a_call_answers_the_next_key_at_once() -> None:
    provider = writing("foo(a)", "foo(b)")
    provider.completer.gate.clear()
    async with editing(provider, text="x = ") as editor:
        asyncio.ensure_future(editor.inline(0, 4))
        await seen(provider.completer, lambda fake: len(fake.requests) == 1)
        editor.insert(0, 4, "f")
        while not (answer := await editor.drafts(0, 5, automatic=True))["drafts"]:
            pass
        assert [each["text"] for each in answer["drafts"]] == ["oo(a)"]
        provider.completer.gate.set()
        await seen(provider.completer, lambda fake: fake.finished == 1)
        editor.insert(0, 5, "o", version=3)
        while len(texts := await editor.inline(0, 6)) < 2:
            pass
        assert texts == ["foo(a)", "foo(b)"]
        assert len(provider.completer.requests) == 1


async def test_who_wants_drafts_streamed_gets_the_first_at_once_and_all_in_the_answer() -> None:
    provider = writing("foo(a)", "foo(b)")
    provider.completer.gate.clear()
    async with editing(provider, text="x = ", options={"stream": True}) as editor:
        asyncio.ensure_future(editor.inline(0, 4, automatic=True))
        await editor.until(lambda: editor.streamed)
        editor.insert(0, 4, "f")
        newer = asyncio.ensure_future(editor.inline(0, 5, automatic=True))
        await editor.until(lambda: len(editor.streamed) == 2)
        assert editor.streamed[1]["draft"]["text"] == "oo(a)"
        provider.completer.gate.set()
        assert await newer == ["foo(a)", "foo(b)"]
        assert len(provider.completer.requests) == 1


async def test_a_call_outlives_the_cancel_that_a_key_causes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("polydraft.lsp_server.calls._GRACE", 60)  # however slow the machine
    provider, go_on = slow("foo")
    async with editing(provider, text="x = ") as editor:
        older = asyncio.ensure_future(editor.ask(0, 4, id=77))
        await seen(provider.completer, lambda fake: len(fake.requests) == 1)
        editor.insert(0, 4, "f")
        editor.client.cancel_request(types.CancelParams(id=77))
        with pytest.raises(JsonRpcException, match="cancel"):
            await older
        newer = asyncio.ensure_future(editor.inline(0, 5))
        go_on.set()
        assert await newer == ["foo"]
        assert len(provider.completer.requests) == 1


async def test_but_not_for_long_if_nobody_asks_again() -> None:
    provider = writing("foo")
    provider.completer.gate.clear()
    async with editing(provider, text="x = ") as editor:
        older = asyncio.ensure_future(editor.ask(0, 4, id=77))
        await seen(provider.completer, lambda fake: len(fake.requests) == 1)
        editor.insert(0, 4, "f")
        editor.client.cancel_request(types.CancelParams(id=77))
        with pytest.raises(JsonRpcException, match="cancel"):
            await older
        await seen(provider.completer, lambda fake: fake.cancelled == 1)
        provider.completer.gate.set()
        editor.insert(0, 5, "o", version=3)
        assert await editor.inline(0, 6) == ["fofoo"]  # nothing of the cancelled call is left


async def test_an_edit_elsewhere_ends_the_call_under_way() -> None:
    provider = writing("foo")
    provider.completer.gate.clear()
    async with editing(provider, text="x = \n") as editor:
        asyncio.ensure_future(editor.inline(0, 4))
        await seen(provider.completer, lambda fake: len(fake.requests) == 1)
        editor.insert(1, 0, "y")
        newer = asyncio.ensure_future(editor.inline(0, 4))
        await seen(provider.completer, lambda fake: fake.cancelled == 1)
        provider.completer.gate.set()
        assert await newer == ["foo"]
        assert places(provider) == [("x = ", "\n"), ("x = ", "\ny")]


async def test_where_the_model_has_nothing_only_who_insists_has_it_asked_again() -> None:
    provider = writing()
    async with editing(provider, text="x = ") as editor:
        for automatic, calls in ((True, 1), (True, 1), (False, 2)):
            assert await editor.inline(0, 4, automatic=automatic) == []
            assert len(provider.completer.requests) == calls


# --- what the editor closes ---


async def test_a_bracket_that_the_editor_closes_stays_out_of_the_prompt() -> None:
    provider = FakeProvider(
        FakeCompleter(write=lambda r: ["zzz"] if r.prefix == "x = " else ["a, b)", "a", "a) or (b"])
    )
    async with editing(provider, text="x = \n") as editor:
        await editor.inline(0, 4)
        editor.insert(0, 4, "f()")
        first, second, third = (await editor.drafts(0, 6))["drafts"]
        assert places(provider)[1:] == [("x = f(", "\n")]
        assert provider.completer.requests[1].anchor == 4
        assert (first["text"], first["range"]["end"]["character"]) == ("a, b)", 7)
        assert (second["text"], second["range"]["end"]["character"]) == ("a", 6)
        assert (third["text"], third["range"]["end"]["character"]) == ("a) or (b", 7)


# --- idle time ---


def next_line(request: Request) -> list[str]:
    """Drafts that depend on how much stands there, so that one cannot pass for another."""
    return [f"a{len(request.prefix)} + b", "c"]


async def test_accepting_the_first_draft_is_followed_by_drafts_at_once() -> None:
    provider = FakeProvider(FakeCompleter(write=next_line))
    async with editing(provider, text="x = ", options=AHEAD) as editor:
        (text, _) = await editor.inline(0, 4)
        await seen(provider.completer, lambda fake: fake.finished == 2)
        editor.insert(0, 4, text)
        answer = await editor.drafts(0, 4 + len(text))
        assert answer["stats"]["fromCache"] is True
        assert answer["drafts"][0]["text"] == f"a{4 + len(text)} + b"


async def test_what_is_drafted_ahead_goes_on_while_its_draft_is_typed_through() -> None:
    provider = FakeProvider(FakeCompleter(write=next_line))
    async with editing(provider, text="x = ", options=AHEAD) as editor:
        (text, _) = await editor.inline(0, 4)
        provider.completer.gate.clear()
        for at, char in enumerate(text[:-1]):
            editor.insert(0, 4 + at, char, version=2 + at)
            assert await editor.inline(0, 5 + at)
        provider.completer.gate.set()
        await seen(provider.completer, lambda fake: fake.finished >= 2)
        assert provider.completer.cancelled == 0


async def test_a_request_cuts_what_is_drafted_ahead_short() -> None:
    held = threading.Event()

    def write(request: Request) -> list[str]:
        if request.prefix == "x = foo":
            provider.completer.gate.clear()
            held.set()
        return ["foo"]

    provider = FakeProvider(FakeCompleter(write=write))
    async with editing(provider, text="x = ", options=AHEAD) as editor:
        await editor.inline(0, 4)
        assert await asyncio.to_thread(held.wait, 10)
        editor.insert(0, 4, "y")
        newer = asyncio.ensure_future(editor.inline(0, 5))
        await seen(provider.completer, lambda fake: fake.cancelled == 1)
        provider.completer.gate.set()
        assert await newer == ["yfoo"]


async def test_when_few_drafts_are_left_idle_time_makes_more_behind_the_word() -> None:
    def write(request: Request) -> list[str]:
        return ["foo(a)", "bar(b)", "baz"] if request.prefix == "x = " else ["q)", "r)"]

    provider = FakeProvider(FakeCompleter(write=write))
    async with editing(provider, text="x = ", options=AHEAD) as editor:
        await editor.inline(0, 4)
        editor.insert(0, 4, "foo(")
        assert "a)" in await editor.inline(0, 8)
        await seen(provider.completer, lambda fake: ("x = foo(", "") in places(provider))
        while len(texts := await editor.inline(0, 8)) < 3:
            pass
        assert sorted(texts) == ["a)", "q)", "r)"]


async def test_nothing_is_drafted_ahead_if_the_settings_say_so() -> None:
    provider = FakeProvider(FakeCompleter(write=next_line))
    async with editing(provider, text="x = ") as editor:
        await editor.inline(0, 4)
        await editor.inline(0, 4)
        assert len(provider.completer.requests) == 1


async def test_each_call_is_told_with_its_cost_to_those_who_want_that() -> None:
    calls: list[Any] = []
    provider = writing("foo")
    options = {"calls": True, "speculate": True}
    async with editing(provider, text="x = ", options=options) as editor:
        editor.client.feature("polydraft/call")(lambda params: editor._note(calls, params))
        await editor.ask(0, 4, id=7)
        await editor.until(lambda: len(calls) == 2)
    first, ahead = calls
    assert first.pop("totalMs") >= 0
    assert first == {
        "requestId": 7,
        "uri": URI,
        "version": 1,
        "purpose": "answer",
        "outcome": "done",
        "promptTokens": 7,
        "recomputedTokens": 2,
        "forwardPasses": 3,
        "firstDraftMs": 0.0,
    }
    assert (ahead["purpose"], ahead["requestId"]) == ("ahead", None)


async def test_where_no_model_was_asked_no_call_is_told() -> None:
    calls: list[Any] = []
    provider = writing("foo")
    async with editing(provider, text="# a\nx = ", options={"calls": True}) as editor:
        editor.client.feature("polydraft/call")(lambda params: editor._note(calls, params))
        assert await editor.inline(0, 3, automatic=True) == []
        await editor.ask(1, 4, id=7)
        await editor.until(lambda: calls != [])
    assert [call["requestId"] for call in calls] == [7]


# --- never a wrong draft ---


def hashed(request: Request) -> list[Any]:
    """Drafts over few characters, so that typing at random often runs through them."""
    dice = random.Random(f"{request.prefix}|{request.suffix}")
    texts = {"".join(dice.choices("ab()", k=dice.randint(1, 4))) for _ in range(request.k)}
    over = len(request.suffix.split("\n")[0])
    return [draft(text, replace=dice.randint(0, min(1, over))) for text in sorted(texts)]


class AtRandom:
    """A typist who presses keys without sense, in an editor that closes brackets."""

    def __init__(self, editor: Editor, seed: int) -> None:
        self.left, self.right = "x = ", "\ny = (1)\n"
        self._editor = editor
        self._dice = random.Random(seed)
        self._version = 1

    def key(self) -> None:
        kind = self._dice.choice("aabb((()),<>e")
        if kind == "(" and self._dice.random() < 0.5:
            self.left, self.right = self.left + "(", ")" + self.right
        elif kind == "<":
            self.left = self.left[:-1] or "x"
        elif kind == ">" and not self.right.startswith("\n"):
            self.left, self.right = self.left + self.right[0], self.right[1:]
        elif kind == "e" and self._dice.random() < 0.2:
            self.right += "z"
        elif kind.isalpha() or kind in "()":
            self.left += kind
        self._version += 1
        document = types.VersionedTextDocumentIdentifier(version=self._version, uri=URI)
        whole = types.TextDocumentContentChangeWholeDocument(self.left + self.right)
        self._editor.client.text_document_did_change(
            types.DidChangeTextDocumentParams(document, [whole])
        )

    def ask(self) -> asyncio.Task[tuple[str, str, Any]]:
        left, right = self.left, self.right

        async def answered() -> tuple[str, str, Any]:
            lines = left.split("\n")
            return left, right, await self._editor.drafts(len(lines) - 1, len(lines[-1]))

        return asyncio.ensure_future(answered())

    def patient(self) -> bool:
        return self._dice.random() < 0.7


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_is_typed_each_draft_served_gives_a_document_that_a_call_stood_for(
    seed: int,
) -> None:
    provider = FakeProvider(FakeCompleter(write=hashed))
    served = 0
    async with editing(provider, text="x = \ny = (1)\n", options=AHEAD) as editor:
        typist = AtRandom(editor, seed)
        answers = []
        for _ in range(60):
            typist.key()
            answers.append(typist.ask())
            if typist.patient():
                await answers[-1]
            else:
                await asyncio.sleep(0)
        for left, right, answer in await asyncio.gather(*answers):
            stood_for = {
                request.prefix + each.text + request.suffix[each.replace :]
                for request in list(provider.completer.requests)
                for each in hashed(request)
            }
            # A draft that closes nothing goes between the brackets that the editor closed.
            between = {
                request.prefix + each.text + right
                for request in list(provider.completer.requests)
                for each in hashed(request)
                if not each.replace and ")" not in each.text and right.endswith(request.suffix)
            }
            for each in answer["drafts"]:
                start = each["range"]["start"]["character"]
                replaced = each["range"]["end"]["character"] - start
                assert left + each["text"] + right[replaced:] in stood_for | between
                served += 1
    assert served > 30
