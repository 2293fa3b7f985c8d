"""Prompt lookup against a naive search, and the workspace where the prompt has nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polydraft.completion.guessers.lookup import FAR, LONGEST_MATCH, NEAR, Lookup
from polydraft.completion.ngram_index import NGramIndex

ids = st.lists(st.integers(0, 3), max_size=30)


def guess(lookup: Lookup, draft: Sequence[int], most: int) -> list[int]:
    return [proposal.token for proposal in islice(lookup.after(draft), most)]


def index(*texts: Sequence[int]) -> NGramIndex:
    made = NGramIndex()
    for number, text in enumerate(texts):
        made.put(str(number), text)
    return made


@pytest.mark.parametrize(
    ("prompt", "draft", "most", "expected"),
    [
        ((1, 2, 3, 1), (), 2, [2, 3]),
        ((1, 2, 3), (1,), 9, [2, 3, 1]),  # runs into the draft itself
        ((1, 2, 5, 1, 2, 6), (1, 2), 1, [6]),  # the latest of two equal matches
        ((9, 1, 2, 5, 1, 2, 6), (9, 1, 2), 1, [5]),  # a longer match wins over a later one
        ((1, 2, 3), (4,), 3, []),
        ((1, 2, 3, 1), (), 0, []),
        ((), (), 3, []),
    ],
)
def test_guesses_are_what_followed_the_same_tokens(prompt, draft, most, expected):
    assert guess(Lookup(prompt), draft, most) == expected


@given(prompt=ids.filter(bool), draft=ids, most=st.integers(0, 4))
def test_equals_a_naive_search(prompt, draft, most):
    text = [*prompt, *draft]

    def match(end: int) -> int:
        """How many tokens before `end` equal the last ones, at most so many."""
        length = 0
        limit = min(LONGEST_MATCH, end)
        while length < limit and text[end - 1 - length] == text[-1 - length]:
            length += 1
        return length

    places = [(match(end), end) for end in range(1, len(text)) if match(end)]
    expected = text[max(places)[1] :][:most] if places else []
    assert guess(Lookup(prompt), draft, most) == expected


def test_the_workspace_is_asked_where_the_prompt_has_no_match():
    workspace = index([7, 8, 9], [5, 8, 6])
    assert guess(Lookup([1, 2, 3], workspace), [8], 2) == [6]  # the text put last
    assert guess(Lookup([1, 2, 3], workspace), [7, 8], 2) == [9, 5]  # the longer match
    assert guess(Lookup([1, 8, 3], workspace), [8], 2) == [3, 8]  # the prompt first
    assert guess(Lookup([1, 2, 3], workspace), [4], 2) == []
    assert guess(Lookup([1, 2, 3], index()), [4], 2) == []


def test_a_guess_says_where_it_is_from_and_how_much_matched():
    near = list(Lookup([1, 2, 3, 4, 1, 2]).after([]))
    assert [proposal.kind for proposal in near] == [(NEAR, 2), (NEAR, 3), (NEAR, 4), (NEAR, 5)]
    (far,) = Lookup([1], index([5, 6])).after([5])
    assert far.kind == (FAR, 1)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [(0, []), (1, [4, 5]), (2, [4, 5]), (3, [1, 2, 3, 4, 5]), (99, [1, 2, 3, 4, 5])],
)
def test_the_latest_texts_of_an_index_are_whole_and_in_order(tokens, expected):
    assert np.array_equal(index([1, 2, 3], [4, 5]).latest(tokens), expected)
