"""How many tokens to guess: tables, and the best of all numbers by trying them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polydraft.completion.draft_length import draft_length, expected_tokens, worthwhile


def flat(tokens: int) -> float:
    """An idle GPU: tokens of a pass are free."""
    return 10.0


def dear(tokens: int) -> float:
    """A pass over 5 tokens costs 5 steps."""
    return 10.0 * tokens


def cpu(tokens: int) -> float:
    """As measured with 0.5B parameters on two cores, roughly."""
    return 9.0 + 0.8 * (tokens - 1)


@pytest.mark.parametrize(
    ("acceptance", "guesses", "tokens"),
    [(0.5, 0, 1), (0.5, 1, 1.5), (0.5, 3, 1.875), (0.0, 4, 1), (1.0, 4, 5), (0.8, 2, 2.44)],
)
def test_expected_tokens(acceptance: float, guesses: int, tokens: float) -> None:
    assert expected_tokens(acceptance, guesses) == pytest.approx(tokens)


@pytest.mark.parametrize(
    ("step_ms", "check_ms", "acceptance", "most", "length"),
    [
        (0.0, flat, 0.5, 7, 7),  # free to propose, free to check
        (0.0, flat, 0.0, 7, 0),  # but never right
        (0.0, dear, 0.9, 7, 0),
        (0.0, dear, 1.0, 7, 0),  # even if always right: as many steps as tokens
        (0.0, cpu, 0.3, 7, 1),
        (0.0, cpu, 0.6, 7, 3),
        (0.0, cpu, 0.9, 7, 7),
        (0.0, cpu, 0.9, 2, 2),
        (0.0, cpu, 0.9, 0, 0),
        (10.0, flat, 1.0, 4, 0),  # proposing costs what asking costs
        (5.0, flat, 0.9, 7, 3),
        (5.0, flat, 0.4, 7, 0),
        (1.0, flat, 0.8, 7, 6),  # a pair of models ten to one
        (3.3, flat, 0.8, 7, 3),  # three to one
    ],
)
def test_the_length_follows_from_costs_and_acceptance(
    step_ms: float, check_ms: object, acceptance: float, most: int, length: int
) -> None:
    assert draft_length(step_ms, check_ms, acceptance, most) == length  # type: ignore[arg-type]


@given(
    step=st.floats(0, 20),
    slope=st.floats(0, 10),
    acceptance=st.floats(0, 1),
    most=st.integers(0, 12),
)
def test_no_other_length_gives_more_tokens_a_millisecond(step, slope, acceptance, most):
    def check(tokens: int) -> float:
        return 10 + slope * (tokens - 1)

    def rate(n: int) -> float:
        return expected_tokens(acceptance, n) / (n * step + check(n + 1))

    found = draft_length(step, check, acceptance, most)
    assert 0 <= found <= most
    assert rate(found) >= max(map(rate, range(most + 1))) - 1e-9


@pytest.mark.parametrize(
    ("confidences", "check_ms", "length"),
    [
        ([], flat, 0),
        ([0.9, 0.9, 0.1, 0.9], flat, 4),
        ([0.9, 0.9, 0.05, 0.9], cpu, 2),  # nothing behind a guess that probably fails
        ([0.05, 1.0, 1.0], cpu, 0),
        ([0.4, 1.0, 1.0, 1.0], cpu, 4),  # a doubtful one before sure ones
        ([1.0, 1.0], dear, 0),
    ],
)
def test_guesses_are_cut_where_the_next_ones_would_not_pay(confidences, check_ms, length):
    assert worthwhile(confidences, check_ms) == length
