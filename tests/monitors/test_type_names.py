"""Names of types where a type is expected: functions and what nobody knows lose."""

from __future__ import annotations

import pytest
from rules import IMPOSSIBLE, Case

from polydraft.monitors.analysis import Grade, Kind, Name, Names

PIECES = [
    *("Thing", " Thing", "make", " make", "Ghost", " Ghost", " int", "int", "Page", " Page"),
    *("Th", "ing", "[", " |", ", ", ")", ":", " None", " '", "\n", "np", ".", "data"),
]
SCOPE = Names(
    (Name("Thing", Kind.CLASS), Name("make", Kind.FUNCTION), Name("np", Kind.MODULE)), Grade.OPEN
)
NOTHING = Names((), Grade.UNKNOWN)


def lost(marked: str, scope: Names = SCOPE) -> dict[str, float]:
    return Case("types", marked, PIECES, {"": scope}).lost()


EXPECTED = [
    "def f(a: |):\n    pass\nPage = 1\n",
    "def f(a: int, *b: |):\n    pass\nPage = 1\n",
    "def f(\n    a: int,\n    b: |\n):\n    pass\nPage = 1\n",
    "def f(a=g(1), b: |):\n    pass\nPage = 1\n",
    "def f(a) -> |:\n    pass\nPage = 1\n",
    "def f(\n    a\n) -> |:\n    pass\nPage = 1\n",
    "def f(a: dict[|]) -> None:\n    pass\nPage = 1\n",
    "def f(a: dict[int, |]) -> None:\n    pass\nPage = 1\n",
    "def f(a: int | |) -> None:\n    pass\nPage = 1\n",
    "class A:\n    a: |\nPage = 1\n",
    "class A(|):\n    pass\nPage = 1\n",
    "class A(Page, |):\n    pass\n",
    "try:\n    pass\nexcept |:\n    pass\nPage = 1\n",
    "try:\n    pass\nexcept (Page, |):\n    pass\n",
    "x = isinstance(y, |)\nPage = 1\n",
    "x = isinstance(y, (int, |))\nPage = 1\n",
]


@pytest.mark.parametrize("marked", EXPECTED)
def test_where_a_type_is_expected(marked):
    before, _, after = marked.rpartition("|")
    found = lost_at(before, after)
    assert {" Ghost", " make"} <= found.keys()
    fine = {" Thing", " Page", " int", "[", ")", ":", " None", " '", "\n", "Thing", "np"}
    assert not fine & found.keys()
    assert max(found.values()) < IMPOSSIBLE


def lost_at(before: str, after: str) -> dict[str, float]:
    # The mark of a `Case` is a bar, which types have as well.
    case = Case("types", "|", PIECES, {"": SCOPE})
    return case.at(before, after).lost()


ELSEWHERE = [
    "x = {a: |}",
    "x = y[a:|]",
    "f(a, |)",
    "f(x: |",
    "if a: |",
    "else: |",
    "lambda a: |",
    "def f(a, |): pass",
    "def f(a: int, |): pass",
    "def f(a: int = |): pass",
    "def f(a: np.|): pass",
    "def f(a: Literal['x', |]): pass",
    "x: int = |",
    "def f(a: Annotated[int, |]): pass",
    "x = a -> |",
    "class |",
    "isinstance(|",
    "# a: |",
]


@pytest.mark.parametrize("marked", ELSEWHERE)
def test_elsewhere_anything_may_come(marked):
    assert lost(marked) == {}


def test_a_name_that_has_begun_goes_on_as_a_type():
    found = lost("def f(a: Th|): pass")
    assert "ing" not in found and "Ghost" in found
    assert lost("def f(a: Zz|): pass") == {}  # it is none: nothing fits


def test_what_the_draft_has_made_counts():
    case = Case("types", "x = 1\n|", PIECES, {"": SCOPE})
    assert " Ghost" in case.lost("data", ":")
    assert " Ghost" not in case.lost("Ghost", "\n", "data", ":")


def test_without_an_answer_anything_may_come():
    assert lost("def f(a: |): pass", NOTHING) == {}
