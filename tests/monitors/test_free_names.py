"""A name that nobody has ever named, where a value is read."""

from __future__ import annotations

import pytest
from rules import IMPOSSIBLE, Case

PIECES = ["total", " total", " nope", "nope", " nopes", " print", " not", " 1", " '", " (", "tot"]
PIECES += ["al", "x", "=", " =", "\n", " ", "1", "new", " new", "(", "return"]


def lost(marked: str, *draft: str) -> dict[str, float]:
    return Case("names", marked, PIECES).lost(*draft)


@pytest.mark.parametrize(
    "line", ["return|", "x =|", "if|", "    y = x +|", "x = 1 if|", "assert not|", "x +=|"]
)
def test_where_a_value_is_read_known_names_come_first(line):
    found = lost(f"total = 1\n{line}")
    assert {" nope", " nopes"} <= found.keys()
    assert not found.keys() & {" total", " print", " not", " 1", " '", " (", "\n", " ", "="}
    assert max(found.values()) < IMPOSSIBLE


def test_a_name_that_began_goes_on_as_one_that_is_known_if_it_can():
    assert "al" not in lost("total = 1\nreturn tot|") and "x" in lost("total = 1\nreturn tot|")
    assert lost("total = 1\nreturn unheard|") == {}


def test_names_that_the_draft_made_are_known():
    assert " new" in lost("x\n|", "return") and " nope" in lost("x\n|", "return")
    assert " new" not in lost("x\n|", "new", " =", " 1", "\n", "return")


@pytest.mark.parametrize(
    "line",
    ["|", "    |", "def|", "class|", "import|", "for|", "x = [|", "f(|", "f(x +|", "x = {1:|"]
    + ["lambda|", "as|", "x.|", "x: |", "x ==|", "x = (\n    1 +|", "'return|", "# x =|"],
)
def test_where_a_name_may_be_made_or_bound_later_everything_may_come(line):
    assert lost(f"total = 1\n{line}") == {}
