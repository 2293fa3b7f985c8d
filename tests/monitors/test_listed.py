"""What is learnt of open lists from the names that a user writes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polydraft.monitors.grammar import grammar_of
from polydraft.monitors.listed import Listed, Typed

counts = st.integers(0, 500)


def test_it_begins_at_the_penalty_that_holds_anyway():
    assert Listed().penalty(5.0) == pytest.approx(5.0)
    assert Listed(3, 9).penalty(math.inf) == math.inf


@given(counts, counts)
def test_what_others_lose_grows_with_names_of_the_list_and_shrinks_with_others(listed, unlisted):
    now = Listed(listed, unlisted)
    assert 1.0 <= now.penalty(5.0) <= 8.0
    assert Listed(listed + 1, unlisted).penalty(5.0) >= now.penalty(5.0)
    assert Listed(listed, unlisted + 1).penalty(5.0) <= now.penalty(5.0)
    if (odds := (listed + math.exp(5)) / (unlisted + 1)) > 1 and 1 <= math.log(odds) <= 8:
        assert now.penalty(5.0) == pytest.approx(math.log(odds))


def test_learning_counts():
    listed = Listed()
    for outcome in (True, True, False):
        listed.learn(outcome)
    assert (listed.listed, listed.unlisted) == (2, 1)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("x = a.get(", True),
        ("x = a.new(", False),
        ("x = a.get\ny = b.", True),
        ("x = a.ge", None),  # it may go on
        ("x = a.", None),
        ("x = a.(", None),
        ("x = b.get(", None),  # the operator is gone
    ],
)
def test_the_name_that_was_written_in_the_end_counts(text, outcome):
    typed = Typed("x = a.", grammar_of("python"), lambda name: name == "get")
    assert typed.outcome(text) is outcome
