from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from polydraft.completion.types import ContextChunk
from polydraft.lsp_server.anchor import DUE_LINES
from polydraft.lsp_server.server import create_server
from tests.fakes import FakeCompleter, FakeProvider, draft
from tests.lsp_server.harness import URI, Editor, connected, editing, serving, shared

MUCH = "1\n" + "y = 2\n" * (DUE_LINES - 1) + "z = "


def writing(*texts: Any) -> FakeProvider:
    return FakeProvider(FakeCompleter(write=lambda request: texts[: request.k]))


async def seen(completer: FakeCompleter, condition: Any) -> None:
    """Wait on the event loop for the fake to come to a state."""
    await asyncio.to_thread(completer.wait_for, condition)


# --- what is offered ---


async def test_an_editor_gets_k_drafts_for_the_place_that_it_names() -> None:
    provider = FakeProvider()
    async with editing(provider, text="a = 1\nb = \nc\n") as editor:
        texts = await editor.inline(1, 4)
        assert len(set(texts)) == 3
        (request,) = provider.completer.requests
        assert (request.prefix, request.suffix) == ("a = 1\nb = ", "\nc\n")
        assert (request.language, request.path, request.k) == ("python", "a.py", 3)


async def test_the_range_begins_with_the_typed_fragment_and_covers_what_is_replaced() -> None:
    provider = writing(draft("_bar(1)", replace=1), draft("x", replace=1))
    async with editing(provider, text="x = foo)\n") as editor:
        first, second = (await editor.ask(0, 7)).items
        assert first.insert_text == "foo_bar(1)"
        assert first.range == types.Range(types.Position(0, 4), types.Position(0, 8))
        assert first.filter_text is None
        assert second.filter_text == "foox)"  # else editors would miss the ")"
        assert first.command.command == "polydraft.accepted"
        assert first.command.arguments != second.command.arguments


async def test_the_range_begins_with_the_indentation_that_a_draft_takes_back() -> None:
    provider = writing(draft("else:", outdent=4), draft("y()"))
    async with editing(provider, text="if x:\n        \n") as editor:
        first, second = (await editor.ask(1, 8)).items
        own, _ = (await editor.drafts(1, 8, k=2))["drafts"]
    assert first.insert_text == "else:"
    assert first.range == types.Range(types.Position(1, 4), types.Position(1, 8))
    assert second.range == types.Range(types.Position(1, 8), types.Position(1, 8))
    assert own["range"]["start"] == {"line": 1, "character": 4}


async def test_neovim_s_own_ghost_text_gets_no_draft_that_it_would_show_wrongly() -> None:
    provider = writing(draft("else:", outdent=4), draft("y()"))
    async with editing(provider, text="if x:\n        \n", name="Neovim") as editor:
        assert await editor.inline(1, 8) == ["y()"]
        assert len((await editor.drafts(1, 8, k=2))["drafts"]) == 2  # our client shows both


async def test_the_command_of_an_item_is_one_that_the_server_executes() -> None:
    async with editing(writing("1"), text="x = ") as editor:
        (item,) = (await editor.ask(0, 4)).items
        await editor.client.workspace_execute_command_async(
            types.ExecuteCommandParams(item.command.command, item.command.arguments)
        )


async def test_plain_completion_is_offered_only_to_editors_without_inline_completion() -> None:
    provider = writing("_bar(\n    1)", "_baz")
    async with (
        shared(provider) as services,
        serving(make_server=partial(create_server, services)) as port,
    ):
        async with connected(port) as modern:
            result = await modern.initialize()
            assert result.capabilities.completion_provider is None
            assert result.capabilities.inline_completion_provider is not None
        async with connected(port) as plain:
            result = await plain.initialize(inline=False)
            assert result.capabilities.completion_provider is not None
            await plain.until_ready()
            plain.open("x = foo")
            answer = await plain.client.text_document_completion_async(
                types.CompletionParams(types.TextDocumentIdentifier(URI), types.Position(0, 7))
            )
    assert isinstance(answer, types.CompletionList)
    assert answer.is_incomplete
    first, second = answer.items
    assert (first.label, second.label) == ("foo_bar( …", "foo_baz")
    assert first.sort_text is not None and second.sort_text is not None
    assert first.sort_text < second.sort_text
    assert first.filter_text == "foo_bar(\n    1)"
    assert first.preselect is False
    assert first.text_edit == types.TextEdit(
        types.Range(types.Position(0, 4), types.Position(0, 7)), "foo_bar(\n    1)"
    )


async def test_drafts_come_with_scores_provenance_and_cost() -> None:
    async with editing(writing(draft("f)", replace=1), "g"), text="x = )\n") as editor:
        answer = await editor.drafts(0, 4, k=2)
    assert answer["version"] == 1
    assert answer["drafts"][0] == {
        "id": answer["drafts"][0]["id"],
        "text": "f)",
        "range": {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 5}},
        "meanLogprob": -0.5,
        "tokenCount": 1,
        "drafter": "greedy",
        "method": "",
        "finish": "line",
        "parts": [],
        "switches": [],
        "checked": False,
        "interventions": [],
        "problems": [],
    }
    assert answer["stats"] == {
        "promptTokens": 7,
        "recomputedTokens": 2,
        "forwardPasses": 3,
        "firstDraftMs": 0.0,
        "totalMs": 0.0,
        "fromCache": False,
        "method": "",
        "methodReason": "",
        "policy": "",
        "escalated": "",
        "largePasses": 0,
        "largeTokens": 0,
    }


async def test_drafts_parameters_that_make_no_sense_are_refused_in_words() -> None:
    async with editing(FakeProvider(), text="") as editor:
        for wrong in ({"k": 17}, {"k": "3"}, {"position": None}, {"automatic": 1}):
            with pytest.raises(JsonRpcException, match="polydraft/drafts"):
                await editor.drafts(0, 0, **wrong)
        assert (await editor.drafts(0, 0, k=2))["drafts"]


# --- positions and texts ---


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 9), ("utf-16", 7), ("utf-32", 6)])
async def test_an_emoji_before_the_cursor_is_counted_in_the_agreed_encoding(
    encoding: str, column: int
) -> None:
    provider = writing(draft("_x", replace=1))
    async with editing(provider, text='x = "😀"; e)', encodings=[encoding]) as editor:
        await editor.inline(0, column)
        assert provider.completer.requests[-1].prefix == 'x = "😀'
        (item,) = (await editor.ask(0, column + 4)).items
        assert provider.completer.requests[-1].prefix == 'x = "😀"; e'
        assert item.range == types.Range(
            types.Position(0, column + 3), types.Position(0, column + 5)
        )


async def test_crlf_documents_reach_the_model_with_line_feeds() -> None:
    provider = writing("1")
    async with editing(provider, text="a\r\nb = \r\nc\r\n") as editor:
        assert await editor.inline(1, 99) == ["1"]
        (request,) = provider.completer.requests
        assert (request.prefix, request.suffix) == ("a\nb = ", "\nc\n")
        editor.insert(1, 4, "f(")
        await editor.inline(1, 6)
        assert provider.completer.requests[-1].prefix == "a\nb = f("


async def test_a_request_sees_the_text_as_it_was_when_it_was_sent() -> None:
    provider = writing("1")
    async with editing(provider, text="x = ") as editor:
        answer = editor.ask(0, 4)
        editor.insert(0, 0, "import os\n")
        await answer
        assert provider.completer.requests[0].prefix == "x = "


async def test_places_that_do_not_exist_get_an_empty_answer() -> None:
    provider = FakeProvider()
    async with editing(provider, text="a\n") as editor:
        assert await editor.inline(2, 0) == []
        assert await editor.inline(99, 5) == []
        assert await editor.inline(0, 0, uri="file:///w/unknown.py") == []
        await editor.until(lambda: "unknown.py" in "".join(editor.logged))
        assert (await editor.drafts(0, 0, uri="file:///w/unknown.py"))["version"] is None
        assert provider.completer.requests == []
        assert len(await editor.inline(1, 0)) == 3


async def test_binary_and_huge_documents_get_an_empty_answer_and_one_message() -> None:
    provider = FakeProvider()
    async with editing(provider, text="a\0b") as editor:
        assert await editor.inline(0, 3) == []
        editor.open("x" * 2_000_000, uri="file:///w/huge.py")
        for column in (5, 1_999_999):
            assert await editor.inline(0, column, uri="file:///w/huge.py") == []
        assert provider.completer.requests == []
        assert len(await editor.inline(0, 0, uri=URI.replace("a.py", "b.py"))) == 0
        (message,) = editor.shown
        assert "huge.py" in message and "max_file_size" in message


async def test_a_long_line_within_the_limit_is_completed() -> None:
    options = {"max_file_size": 3_000_000}
    async with editing(writing("1"), text="é" * 2_000_000, options=options) as editor:
        assert (await editor.drafts(0, 1_500_000))["drafts"][0]["text"] == "1"


async def test_documents_that_are_no_files_here_are_completed_and_nothing_is_read() -> None:
    def gather(**_: Any) -> Any:
        raise AssertionError("a document without a path has no context")

    provider = writing("1")
    uris = (
        "untitled:Untitled-1",
        "vscode-remote://ssh-remote%2Bhost/home/u/a.rs",
        "vscode-vfs://github/o/r/a.rs",
        "vscode-notebook-cell:Untitled-1.ipynb?jupyter-notebook#W0sdW50aXRsZWQ%3D",
        "vscode-notebook-cell:/w/n.ipynb#W0sZmlsZQ%3D%3D",
    )
    async with editing(provider, gather=gather) as editor:
        for uri in uris:
            editor.open("x = ", uri=uri, language="rust")
            assert await editor.inline(0, 4, uri=uri) == ["1"]
            request = provider.completer.requests[-1]
            assert (request.path, request.language) == ("", "rust")


# --- one request in flight per document ---


async def test_cancelling_a_request_frees_the_engine() -> None:
    provider = FakeProvider()
    completer = provider.completer
    async with editing(provider, text="x = ") as editor:
        completer.gate.clear()
        answer = asyncio.ensure_future(editor.ask(0, 4, id=77))
        await seen(completer, lambda fake: len(fake.requests) == 1)
        editor.client.cancel_request(types.CancelParams(id=77))
        with pytest.raises(JsonRpcException, match="cancel"):
            await answer
        await seen(completer, lambda fake: fake.cancelled == 1)
        steps = completer.steps
        editor.open("y", uri="file:///w/b.py")
        await editor.inline(9, 9, uri="file:///w/b.py")  # a round trip
        assert (completer.steps, completer.finished) == (steps, 0)


async def test_of_a_burst_of_200_requests_only_the_newest_is_computed() -> None:
    provider = FakeProvider()
    completer = provider.completer
    async with editing(provider, text="x = " + "y" * 300) as editor:
        completer.gate.clear()
        answers = [asyncio.ensure_future(editor.ask(0, column)) for column in range(200)]
        older = await asyncio.gather(*answers[:-1])  # answered although nothing was computed
        assert not any(answer.items for answer in older)
        completer.gate.set()
        assert len((await answers[-1]).items) == 3
        assert completer.finished == 1
        assert len(completer.requests[-1].prefix) == 199


async def test_documents_do_not_cancel_each_other() -> None:
    provider = FakeProvider()
    async with editing(provider, text="x = ") as editor:
        editor.open("y = ", uri="file:///w/b.py")
        provider.completer.gate.clear()
        both = asyncio.gather(editor.inline(0, 4), editor.inline(0, 4, uri="file:///w/b.py"))
        await seen(provider.completer, lambda fake: len(fake.requests) == 1)
        provider.completer.gate.set()
        assert [len(texts) for texts in await both] == [3, 3]


async def test_closing_a_document_in_mid_request_ends_it_without_drafts() -> None:
    provider = FakeProvider()
    async with editing(provider, text="x = ") as editor:
        provider.completer.gate.clear()
        answer = asyncio.ensure_future(editor.inline(0, 4))
        await seen(provider.completer, lambda fake: len(fake.requests) == 1)
        editor.close()
        assert await answer == []
        await seen(provider.completer, lambda fake: fake.cancelled == 1)


async def test_an_error_of_the_engine_is_told_once_and_the_server_goes_on() -> None:
    provider = writing("1")
    provider.completer.error = RuntimeError("bad kernel")
    async with editing(provider, text="x = ") as editor:
        assert await editor.inline(0, 4) == []
        assert await editor.inline(0, 3) == []
        (message,) = editor.shown
        assert "RuntimeError: bad kernel" in message
        provider.completer.error = None
        assert await editor.inline(0, 4) == ["1"]


async def test_a_message_that_makes_no_sense_is_answered_with_an_error() -> None:
    async with editing(writing("1"), text="x = ") as editor:
        with pytest.raises(JsonRpcException):
            await editor.send_raw("textDocument/inlineCompletion", {"position": 3})
        assert await editor.inline(0, 4) == ["1"]


# --- typing on ---


async def test_typing_through_a_draft_asks_no_model() -> None:
    provider = writing("foo(a)", "foo(b)", "bar")
    async with editing(provider, text="x = ") as editor:
        await editor.inline(0, 4)
        editor.insert(0, 4, "foo")
        answer = await editor.drafts(0, 7)
        assert [each["text"] for each in answer["drafts"]] == ["(a)", "(b)"]
        assert answer["stats"]["fromCache"] is True
        assert answer["stats"]["forwardPasses"] == 0
        items = (await editor.ask(0, 7, automatic=True)).items
        assert [item.insert_text for item in items] == ["foo(a)", "foo(b)"]
        assert len(provider.completer.requests) == 1


async def test_the_prompt_stays_anchored_while_typing() -> None:
    provider = writing("zzz")
    async with editing(provider, text="x = fo\n") as editor:
        await editor.inline(0, 6)
        editor.insert(0, 6, "o(1")
        await editor.inline(0, 9)
        assert [request.anchor for request in provider.completer.requests] == [4, 4]
        assert [request.prefix for request in provider.completer.requests] == [
            "x = fo",
            "x = foo(1",
        ]


async def test_after_much_typing_idle_time_anchors_anew() -> None:
    chunk = ContextChunk("b.py", "B = 1")
    provider = writing("zzz")
    async with editing(provider, text="x = \n", gather=lambda **_: (chunk,)) as editor:
        await editor.inline(0, 4)
        editor.insert(0, 4, MUCH)
        await editor.inline(DUE_LINES, 4)
        await seen(provider.completer, lambda fake: len(fake.prefills) == 1)
        (prefill,) = provider.completer.prefills
        here = len("x = " + MUCH)
        assert prefill.anchor == here
        assert prefill.context == (chunk,)
        editor.insert(DUE_LINES, 4, "3")
        await editor.inline(DUE_LINES, 5)
        assert [request.anchor for request in provider.completer.requests] == [4, 4, here]


async def test_a_request_cuts_idle_work_short() -> None:
    provider = writing("zzz")
    completer = provider.completer
    completer.prefill_gate.clear()
    async with editing(provider, text="x = \n") as editor:
        await editor.inline(0, 4)
        editor.insert(0, 4, MUCH)
        await editor.inline(DUE_LINES, 4)
        await seen(completer, lambda fake: len(fake.prefills) == 1)
        editor.insert(DUE_LINES, 4, "3")
        assert await editor.inline(DUE_LINES, 5) == ["3zzz"]
        assert completer.cancelled == 1


async def test_the_first_draft_is_streamed_to_those_who_want_it() -> None:
    for stream in (True, False):
        provider = writing("first", "second")
        async with editing(provider, text="x = ", options={"stream": stream}) as editor:
            provider.completer.gate.clear()
            answer = asyncio.ensure_future(editor.ask(0, 4, id=5))
            await seen(provider.completer, lambda fake: len(fake.requests) == 1)
            if stream:
                await editor.until(lambda: editor.streamed)
                (sent,) = editor.streamed
                assert (sent["requestId"], sent["uri"], sent["version"]) == (5, URI, 1)
                assert sent["draft"]["text"] == "first"
            provider.completer.gate.set()
            assert len((await answer).items) == 2
            assert len(editor.streamed) == stream


# --- what may be completed, and with what context ---


async def test_automatic_requests_obey_the_settings_and_invoked_ones_always_try() -> None:
    for options in ({"automatic": False}, {"languagesOff": ["python"]}):
        provider = FakeProvider()
        async with editing(provider, text="x = ", options=options) as editor:
            assert await editor.inline(0, 4, automatic=True) == []
            assert (await editor.drafts(0, 4, automatic=True))["drafts"] == []
            assert len(await editor.inline(0, 4)) == 3


async def test_excluded_files_are_not_completed_even_when_invoked() -> None:
    def is_excluded(path: Path, root: Path | None) -> bool:
        return path.name == ".env"

    provider = FakeProvider()
    options = {"exclude": ["a.py"]}
    async with editing(provider, text="x", is_excluded=is_excluded, options=options) as editor:
        editor.open("KEY=", uri="file:///w/.env", language="")
        for _ in range(2):
            assert await editor.inline(0, 1) == []
            assert await editor.inline(0, 4, uri="file:///w/.env") == []
        assert provider.completer.requests == []
        assert len(editor.shown) == 2
        assert all("excluded" in message for message in editor.shown)


async def test_context_comes_from_other_files_that_are_not_excluded(tmp_path: Path) -> None:
    calls: list[dict[str, Any]] = []
    chunk, secret = ContextChunk("b.py", "B = 1"), ContextChunk("secret.py", "KEY = 1")

    def gather(**surroundings: Any) -> tuple[ContextChunk, ...]:
        calls.append(surroundings)
        return (secret, chunk)

    provider = FakeProvider()
    options = {"exclude": ["secret.py"]}
    async with editing(provider, root=tmp_path, options=options, gather=gather) as editor:
        here = (tmp_path / "sub/a.py").as_uri()
        for name in ("old.py", "b.py", "secret.py", "c.py", "sub/a.py"):
            editor.open("x = ", uri=(tmp_path / name).as_uri())
        editor.open("?", uri="untitled:1")
        editor.close(uri=(tmp_path / "old.py").as_uri())
        await editor.inline(0, 4, uri=here)
        await editor.inline(0, 2, uri=here)
        first, second = calls
        assert first["root"] == tmp_path
        assert first["request"].prefix == "x = "
        assert first["document"].path == tmp_path / "sub/a.py"
        assert [other.path.name for other in first["others"]] == ["c.py", "b.py"]
        assert first["recent"] == [tmp_path / "old.py"]
        assert (first["previous"], second["previous"]) == ((), (chunk,))
        request = provider.completer.requests[0]
        assert (request.context, request.path) == ((chunk,), "sub/a.py")


# --- settings ---


async def test_settings_from_the_editor_reach_the_request() -> None:
    provider = FakeProvider()
    settings = {"k": 2, "newTokens": 9, "multiline": "always", "modle": "x"}
    async with editing(provider, text="x", configuration=True, settings=settings) as editor:
        assert len(await editor.inline(0, 1)) == 2
        (request,) = provider.completer.requests
        assert (request.budget.new_tokens, request.multiline) == (9, True)
        (message,) = editor.shown
        assert '"modle"' in message and '"model"' in message
        editor.settings = {"k": 4}
        editor.client.workspace_did_change_configuration(
            types.DidChangeConfigurationParams(settings=None)
        )
        editor.insert(0, 1, "y")
        await editor.inline(0, 0)
        assert len(await editor.inline(0, 2)) == 4


async def test_settings_may_be_pushed_by_editors_that_cannot_be_asked() -> None:
    async with editing(FakeProvider(), text="x") as editor:
        editor.client.workspace_did_change_configuration(
            types.DidChangeConfigurationParams(settings={"polydraft": {"k": 1}})
        )
        await editor.inline(9, 9)
        assert len(await editor.inline(0, 1)) == 1


async def test_a_changed_settings_file_is_read_at_the_next_request(tmp_path: Path) -> None:
    async with editing(FakeProvider(), text="x", root=tmp_path) as editor:
        assert len(await editor.inline(0, 1)) == 3
        (tmp_path / "polydraft.toml").write_text("k = 1\nfoo = 1\n")
        assert len(await editor.inline(0, 0)) == 1
        (message,) = editor.shown
        assert 'polydraft.toml: unknown setting "foo"' in message


async def test_where_the_editor_watches_files_its_word_reloads_the_settings(
    tmp_path: Path,
) -> None:
    async with editing(FakeProvider(), text="x", root=tmp_path, watch=True) as editor:
        await editor.until(lambda: editor.registered)
        await editor.inline(9, 9)  # a round trip: the registration is answered
        file = tmp_path / "polydraft.toml"
        file.write_text("k = 1\n")
        assert len(await editor.inline(0, 1)) == 3
        change = types.FileEvent(file.as_uri(), types.FileChangeType.Created)
        editor.client.workspace_did_change_watched_files(
            types.DidChangeWatchedFilesParams([change])
        )
        await editor.inline(9, 9)
        assert len(await editor.inline(0, 1)) == 1


async def test_an_untrusted_workspace_cannot_have_a_model_fetched(tmp_path: Path) -> None:
    (tmp_path / "polydraft.toml").write_text('model = "evil"\ndevice = "cuda"\n')
    for trusted in (False, True):
        provider = FakeProvider()
        options = {"trusted": trusted}
        async with editing(provider, root=tmp_path, options=options) as editor:
            (model,) = provider.loads
            assert (model.name == "evil") == trusted  # type: ignore[attr-defined]
            assert len(editor.shown) == (0 if trusted else 1)


# --- loading ---


async def test_loading_blocks_nothing_and_says_so() -> None:
    provider = writing("1")
    provider.gate.clear()
    async with editing(provider, text="x = ", ready=False, progress=True) as editor:
        assert await editor.inline(0, 4) == []
        await editor.until(lambda: editor.statuses)
        assert editor.statuses[-1]["state"] == "loading"
        await editor.until(lambda: any(s["progress"] == 0.5 for s in editor.statuses))
        await editor.until(lambda: any(p.get("percentage") == 50 for p in editor.progress))
        provider.gate.set()
        await editor.until_ready()
        await editor.until(lambda: editor.progress[-1]["kind"] == "end")
        assert editor.progress[0]["kind"] == "begin"
        assert await editor.inline(0, 4) == ["1"]


async def test_no_progress_bar_is_forced_on_an_editor_that_has_none() -> None:
    async with editing(FakeProvider(), text="x") as editor:
        await editor.inline(0, 1)
        assert editor.progress == []


async def failed_once() -> FakeProvider:
    provider = writing("1")
    provider.errors = [OSError("No space left. Free 500 MB and reload.")]
    return provider


async def until_failed(editor: Editor) -> None:
    await editor.until(lambda: editor.statuses and editor.statuses[-1]["state"] == "error")
    assert editor.statuses[-1]["message"] == "No space left. Free 500 MB and reload."


async def test_a_model_that_cannot_be_loaded_is_told_and_reload_tries_again() -> None:
    async with editing(await failed_once(), text="x", ready=False) as editor:
        await until_failed(editor)
        assert await editor.inline(0, 1) == []
        status = await editor.client.protocol.send_request_async("polydraft/reload", None)
        assert status["state"] == "loading"
        await editor.until_ready()
        assert await editor.inline(0, 1) == ["x1"]


async def test_a_later_change_of_settings_tries_again_too() -> None:
    provider = await failed_once()
    async with editing(provider, text="x", ready=False) as editor:
        await until_failed(editor)
        editor.client.workspace_did_change_configuration(
            types.DidChangeConfigurationParams(settings={"polydraft": {"model": "other"}})
        )
        await editor.until_ready()
        assert editor.statuses[-1]["model"] == "other"
        assert await editor.inline(0, 1) == ["x1"]
