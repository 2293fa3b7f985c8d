"""Golden tables, one a filter: `filters/<name>.toml`. The sign ▮ marks the cursor."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polydraft.completion import postprocess
from polydraft.completion.postprocess import FILTERS, Finished, finish_text, visible_key
from polydraft.completion.types import Finish, Request
from polydraft.completion.view import look

TABLES = Path(__file__).parent / "filters"


def cases(name: str) -> list[Any]:
    table = tomllib.loads((TABLES / f"{name}.toml").read_text(encoding="utf-8"))
    shared = table.get("shared", {})
    return [pytest.param({**shared, **case}, id=case["claim"]) for case in table["case"]]


def request_of(case: dict[str, Any]) -> Request:
    before, after = case["document"].split("▮")
    multiline = case.get("multiline", False)
    return Request(
        before,
        after,
        language=case.get("language", "python"),
        multiline=None if multiline == "auto" else multiline,
    )


FILTER_CASES = [
    pytest.param(step.__name__, *case.values, id=f"{step.__name__}: {case.id}")
    for step in FILTERS
    for case in cases(step.__name__)
]


@pytest.mark.parametrize(("name", "case"), FILTER_CASES)
def test_filter(name: str, case: dict[str, Any]) -> None:
    request = request_of(case)
    view = look(request, bool(request.multiline), Finish(case.get("finish", "stop")))
    assert getattr(postprocess, name)(case["draft"], view) == case.get("expect")


@pytest.mark.parametrize("case", cases("all_filters"))
def test_all_filters(case: dict[str, Any]) -> None:
    finished = finish_text(case["draft"], request_of(case), Finish(case.get("finish", "stop")))
    if "expect" not in case:
        assert finished is None
        return
    around = case.get("replace", 0), case.get("outdent", 0)
    assert finished == Finished(case["expect"], *around)
    if "result" in case:  # the document, as the editor shows it after the draft is accepted
        before, after = case["document"].split("▮")
        before = before[: len(before) - finished.outdent]
        assert before + finished.text + after[finished.replace :] == case["result"]


def test_every_filter_has_a_table_and_every_table_a_filter() -> None:
    names = {step.__name__ for step in FILTERS} | {"all_filters"}
    assert {path.stem for path in TABLES.glob("*.toml")} == names


CODE = st.text(st.sampled_from("ab (){}[]\"'\n\t:#,\r\ufffd=é"), max_size=60)


@given(CODE, CODE, CODE, st.booleans(), st.sampled_from(Finish))
def test_no_text_breaks_the_filters(
    before: str, after: str, draft: str, multiline: bool, finish: Finish
) -> None:
    request = Request(before, after, language="python", multiline=multiline)
    finished = finish_text(draft, request, finish)
    if finished is None:
        return
    assert visible_key(finished.text)
    assert "\ufffd" not in finished.text
    assert "\n" not in after[: finished.replace] and "\r" not in after[: finished.replace]
    taken_back = before[len(before) - finished.outdent :]
    assert not taken_back.strip(" \t")
    assert not finished.outdent or not before.split("\n")[-1].split("\r")[-1].strip()
    if not multiline:
        assert "\n" not in finished.text


@given(CODE, CODE, CODE)
def test_a_finished_single_line_stays_as_it_is(before: str, after: str, draft: str) -> None:
    """The filters have nothing left to do on their own result, brackets and overlaps included."""
    request = Request(before, after, language="go", multiline=False)
    once = finish_text(draft, request, Finish.STOP_TOKEN)
    if once is not None and not before.rpartition("\n")[2].isspace():
        again = finish_text(once.text, request, Finish.STOP_TOKEN)
        assert again is None or len(again.text) <= len(once.text)


def test_a_document_of_megabytes_is_looked_at_through_a_window() -> None:
    line = "x" * 2_000_000
    finished = finish_text("foo", Request(line, line, multiline=False), Finish.STOP_TOKEN)
    assert finished == Finished("foo", 0)


@pytest.mark.parametrize(
    ("text", "key"),
    [("a  b", "a b"), ("\n  a\n\tb ", "a b"), ("ab", "ab"), (" \n", "")],
)
def test_visible_key_folds_white_space(text: str, key: str) -> None:
    assert visible_key(text) == key
