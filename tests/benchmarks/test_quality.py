from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import quality

texts = st.text("ab \n", max_size=12)


@pytest.mark.parametrize(
    ("drafts", "truth", "right"),
    [
        (["x = 1"], "x = 1", True),
        (["y", "x = 1 \n"], "x = 1", True),  # white space at the ends does not count
        (["a\n  b"], "a \n  b\n", True),
        (["a\n b"], "a\n  b", False),  # indentation does
        (["x  = 1"], "x = 1", False),
        ([], "x", False),
    ],
)
def test_exact_is_equal_but_for_white_space_at_the_ends(
    drafts: list[str], truth: str, right: bool
) -> None:
    assert quality.exact(drafts, truth) is right


@pytest.mark.parametrize(
    ("drafts", "similarity", "prefix"),
    [
        ([], 0, 0),
        (["abcd"], 1, 1),
        (["abxx"], 0.5, 0.5),
        (["xxab"], 0.5, 0),
        (["xxxx", "abcx"], 0.75, 0.75),
        (["abcdefgh"], 2 * 4 / 12, 1),
    ],
)
def test_the_best_draft_counts(drafts: list[str], similarity: float, prefix: float) -> None:
    assert quality.edit_similarity(drafts, "abcd") == pytest.approx(similarity)
    assert quality.best_prefix(drafts, "abcd") == pytest.approx(prefix)


@given(st.lists(texts, max_size=4), st.text("ab", min_size=1, max_size=8), texts)
def test_another_draft_never_makes_it_worse(drafts: list[str], truth: str, more: str) -> None:
    for judge in (quality.exact, quality.edit_similarity, quality.best_prefix):
        assert 0 <= judge(drafts, truth) <= judge([*drafts, more], truth) <= 1


@given(st.text("ab \n", min_size=1, max_size=12).filter(str.strip))
def test_the_truth_itself_is_perfect(truth: str) -> None:
    assert quality.exact([truth], truth)
    assert quality.edit_similarity([truth], truth) == quality.best_prefix([truth], truth) == 1


def test_drafts_that_differ_at_the_ends_of_lines_only_are_one() -> None:
    assert quality.distinct(["a", "a ", "a\n", "b", " b"]) == 2


def test_whether_a_file_parses() -> None:
    assert quality.parses("def f(x):\n    return x\n")
    assert not quality.parses("def f(x:\n    return x\n")


def test_a_paired_interval_is_that_of_the_differences() -> None:
    assert quality.paired_interval([1.0] * 20, [0.5] * 20) == (0.5, 0.5)
    low, high = quality.paired_interval([1.0, 0.0] * 100, [0.0, 1.0] * 100)
    assert -0.2 < low < 0 < high < 0.2
    assert quality.paired_interval([1, 0, 1], [0, 0, 1]) == quality.paired_interval(
        [1, 0, 1], [0, 0, 1]
    )
