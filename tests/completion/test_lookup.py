"""Prompt lookup against a naive search."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polydraft.completion.lookahead import Lookahead

ids = st.lists(st.integers(0, 3), max_size=30)


@pytest.mark.parametrize(
    ("prompt", "draft", "most", "guess"),
    [
        ((1, 2, 3, 1), (), 2, [2, 3]),
        ((1, 2, 3), (1,), 9, [2, 3, 1]),  # runs into the draft itself
        ((1, 2, 5, 1, 2, 6), (1, 2), 1, [6]),  # the latest of two equal matches
        ((9, 1, 2, 5, 1, 2, 6), (9, 1, 2), 1, [5]),  # a longer match wins over a later one
        ((1, 2, 3), (4,), 3, []),
        ((1, 2, 3, 1), (), 0, []),
        ((), (1, 1), 3, []),  # no prompt, no guesses
    ],
)
def test_guesses_are_what_followed_the_same_tokens(prompt, draft, most, guess):
    assert Lookahead(prompt).guess(draft, most) == guess


@given(prompt=ids.filter(bool), draft=ids, most=st.integers(0, 4))
def test_equals_a_naive_search(prompt, draft, most):
    text = [*prompt, *draft]

    def match(end: int) -> int:
        """How many tokens before `end` equal the last ones, at most four."""
        length = 0
        while length < min(4, end) and text[end - 1 - length] == text[-1 - length]:
            length += 1
        return length

    places = [(match(end), end) for end in range(1, len(text)) if match(end)]
    expected = text[max(places)[1] :][:most] if places else []
    assert Lookahead(prompt).guess(draft, most) == expected
