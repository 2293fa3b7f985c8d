"""A language client over TCP works on a real project with the real default model."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from polydraft.completion.syntax import parses
from tests.e2e.editing import accepted, accepted_at, at_work, begin, change, drafts_at, type_at
from tests.e2e.support import Point, accept, position_after, real_points, utf16
from tests.lsp_server.harness import connected

pytestmark = pytest.mark.weights

FILES = ("table.py", "progress.py", "text.py", "tree.py", "style.py")


@pytest.fixture(scope="module")
def points(project: Path) -> list[Point]:
    return [point for name in FILES for point in real_points(project / "rich" / name, 6)]


async def test_drafts_at_real_cursors_are_distinct_and_most_parse(
    tcp_port: int, project: Path, points: list[Point]
) -> None:
    documents: list[str] = []
    async with at_work(tcp_port, project) as editor:
        for point in points:
            offered = await accepted_at(editor, point)
            assert len(set(offered)) == len(offered) >= 2, point
            documents += offered
    assert len(documents) >= 2.5 * len(points)
    good = sum(parses(document, "python") for document in documents)
    assert good >= 0.8 * len(documents)


async def test_drafts_come_with_scores_and_provenance_the_greedy_one_first(
    tcp_port: int, project: Path, points: list[Point]
) -> None:
    point = points[0]
    async with at_work(tcp_port, project) as editor:
        editor.open(point.text, uri=point.uri)
        answer = await drafts_at(editor, point.before, point.uri, k=3)
    drafts = answer["drafts"]
    assert len({draft["text"] for draft in drafts}) == len({d["id"] for d in drafts}) == 3
    scores = [draft["meanLogprob"] for draft in drafts]
    ranks = [(draft["drafter"] != "greedy", -draft["meanLogprob"]) for draft in drafts]
    behind = [bool(draft["problems"]) for draft in drafts]
    assert behind == sorted(behind)
    for group in (False, True):
        ranked = [rank for rank, late in zip(ranks, behind, strict=True) if late == group]
        assert ranked == sorted(ranked)
    assert all(-10 < score < 0 for score in scores)
    assert {draft["drafter"] for draft in drafts} <= {"greedy", "beam", "fork"}
    assert sum(draft["drafter"] == "greedy" for draft in drafts) == 1
    assert all(draft["tokenCount"] >= 1 and draft["finish"] for draft in drafts)
    assert answer["version"] == 1
    stats = answer["stats"]
    assert 100 < stats["promptTokens"] <= 384 and stats["forwardPasses"] >= 3
    assert not stats["fromCache"] and 0 < stats["firstDraftMs"] <= stats["totalMs"]


async def test_one_more_character_recomputes_only_what_was_typed(
    tcp_port: int, project: Path, points: list[Point]
) -> None:
    for point in points[1:3]:
        async with at_work(tcp_port, project) as editor:
            editor.open(point.text, uri=point.uri)
            await drafts_at(editor, point.before, point.uri)
            before = point.before
            for version, character in enumerate("zq", start=2):  # no draft goes on like this
                type_at(editor, point.uri, version, before, character)
                before += character
                stats = (await drafts_at(editor, before, point.uri))["stats"]
                assert not stats["fromCache"]
                assert 1 <= stats["recomputedTokens"] <= 4 < 100 < stats["promptTokens"]


async def test_typing_through_a_draft_needs_no_forward_pass_and_keeps_what_matches(
    tcp_port: int, project: Path, points: list[Point]
) -> None:
    point = points[3]
    async with at_work(tcp_port, project) as editor:
        editor.open(point.text, uri=point.uri)
        offered = [d["text"] for d in (await drafts_at(editor, point.before, point.uri))["drafts"]]
        chosen, before = max(offered, key=len), point.before
        for version, character in enumerate(chosen[:6], start=2):
            type_at(editor, point.uri, version, before, character)
            before += character
            typed = before[len(point.before) :]
            answer = await drafts_at(editor, before, point.uri)
            left = [
                text[len(typed) :] for text in offered if text.startswith(typed) and text != typed
            ]
            assert [draft["text"] for draft in answer["drafts"]] == left and left
            assert answer["stats"]["fromCache"] and answer["stats"]["forwardPasses"] == 0
            assert answer["version"] == version


async def test_a_cancelled_request_ends_with_an_error_and_frees_the_engine(
    tcp_port: int, project: Path, points: list[Point]
) -> None:
    first, other = points[4], points[6]
    async with at_work(tcp_port, project) as editor:
        editor.open(first.text, uri=first.uri)
        editor.open(other.text, uri=other.uri)
        answer = asyncio.ensure_future(editor.ask(*first.position, uri=first.uri, id=4711))
        await asyncio.sleep(0)
        editor.client.cancel_request(types.CancelParams(id=4711))
        with pytest.raises(JsonRpcException) as refused:
            await answer
        assert refused.value.code == types.LSPErrorCodes.RequestCancelled
        assert len(await editor.inline(*other.position, uri=other.uri)) >= 2
        assert len(await editor.inline(*first.position, uri=first.uri)) >= 2


async def test_the_newest_request_for_a_document_wins(
    tcp_port: int, project: Path, points: list[Point]
) -> None:
    point, place = points[5], points[5].position
    async with at_work(tcp_port, project) as editor:
        editor.open(point.text, uri=point.uri)
        old = editor.ask(place[0], 0, uri=point.uri)
        new = editor.ask(*place, uri=point.uri)
        assert list((await old).items) == []
        assert len((await new).items) >= 2


async def test_a_burst_of_200_requests_ends_with_the_newest_one_answered(
    tcp_port: int, project: Path, points: list[Point]
) -> None:
    point, before = points[7], points[7].before
    async with at_work(tcp_port, project) as editor:
        editor.open(point.text, uri=point.uri)
        asked = []
        for version in range(2, 202):
            typed = "abcdefghij"[version % 10]
            type_at(editor, point.uri, version, before, typed)
            before += typed
            asked.append(editor.ask(*position_after(before), uri=point.uri, automatic=True))
        # One more, at a place that has something to say.
        change(editor, point.uri, 202, point.text)
        asked.append(editor.ask(*point.position, uri=point.uri))
        answers = [answer.items for answer in await asyncio.gather(*asked)]
        assert len(answers) == 201 and len(answers[-1]) >= 2
        assert sum(bool(items) for items in answers[:-1]) <= 3
        assert len(await editor.inline(*point.position, uri=point.uri)) >= 2


async def test_a_document_that_is_closed_in_mid_request_gets_an_empty_answer(
    tcp_port: int, project: Path, points: list[Point]
) -> None:
    closed, other = points[8], points[9]
    async with at_work(tcp_port, project) as editor:
        editor.open(closed.text, uri=closed.uri)
        answer = editor.ask(*closed.position, uri=closed.uri)
        editor.close(uri=closed.uri)
        assert list((await answer).items) == []
        editor.open(other.text, uri=other.uri)
        assert len(await editor.inline(*other.position, uri=other.uri)) >= 2


async def test_a_document_with_crlf_is_completed_like_one_with_lf(
    tcp_port: int, project: Path, points: list[Point]
) -> None:
    point = points[0]
    text, before = (part.replace("\n", "\r\n") for part in (point.text, point.before))
    async with at_work(tcp_port, project) as editor:
        editor.open(point.text, uri="file:///lf/table.py")
        plain = await drafts_at(editor, point.before, "file:///lf/table.py")
        editor.close(uri="file:///lf/table.py")  # else it would be context for the other
        editor.open(text, uri="file:///crlf/table.py")
        answer = await drafts_at(editor, before, "file:///crlf/table.py")
    # The prompt is the same to the last token: all of it is in the cache. Where two tokens are as
    # probable, drafts of a cached prompt may differ from those of a new one by a last digit.
    stats = answer["stats"]
    assert stats["promptTokens"] == plain["stats"]["promptTokens"] > 100
    assert stats["recomputedTokens"] <= 1
    assert len(answer["drafts"]) >= 2
    for draft in answer["drafts"]:
        assert "\r" not in draft["text"]
    after = [accept(text, draft["range"], draft["text"]) for draft in answer["drafts"]]
    assert all(parses(document, "python") for document in after)


async def test_emoji_before_the_cursor_count_as_the_editor_counts_them(
    tcp_port: int, project: Path
) -> None:
    uri = (project / "emoji.py").as_uri()
    cheers = "\N{WAVING HAND SIGN}\N{PARTY POPPER}"
    before = f'def greet(name):\n    return "{cheers} Hello " + na'
    text = before + "\n\n\nprint(greet('you'))\n"
    async with at_work(tcp_port, project) as editor:
        editor.open(text, uri=uri)
        line, column = position_after(before)
        assert column == utf16(before.split("\n")[1]) == len(before.split("\n")[1]) + 2
        answer = await drafts_at(editor, before, uri)
        assert answer["drafts"]
        for draft in answer["drafts"]:
            assert draft["range"]["start"] == {"line": line, "character": column}
        documents = await accepted(editor, uri, text, (line, column))
    assert len(documents) == len(answer["drafts"])
    assert all(document.startswith(before) for document in documents)


async def test_what_counts_is_the_buffer_and_not_the_file_on_disk(
    tcp_port: int, project: Path
) -> None:
    path = project / "limits.py"
    on_disk = "ZEBRA_LIMIT = 40\n\n\ndef is_full(count):\n    return count >= "
    in_buffer = on_disk.replace("ZEBRA", "ALPACA")
    path.write_text(on_disk)
    async with at_work(tcp_port, project) as editor:
        editor.open(on_disk, uri=path.as_uri())
        change(editor, path.as_uri(), 2, in_buffer)
        answer = await drafts_at(editor, in_buffer, path.as_uri())
    texts = [draft["text"] for draft in answer["drafts"]]
    assert answer["version"] == 2 and "ALPACA_LIMIT" in texts
    assert not any("ZEBRA" in text for text in texts)


async def test_a_client_that_vanishes_in_mid_request_leaves_the_server_to_the_next(
    tcp_port: int, project: Path, points: list[Point]
) -> None:
    point = points[2]
    async with connected(tcp_port) as vanishing:
        await begin(vanishing, project)
        vanishing.open(point.text, uri=point.uri)
        answer = asyncio.ensure_future(vanishing.ask(*point.position, uri=point.uri))
        await asyncio.sleep(0)
        vanishing.vanish()
        answer.cancel()
    async with at_work(tcp_port, project) as editor:
        editor.open(point.text, uri=point.uri)
        assert len(await editor.inline(*point.position, uri=point.uri)) >= 2
