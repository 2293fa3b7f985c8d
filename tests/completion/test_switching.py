"""Every policy on tables of statistics: pure functions, so each line is one case."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polydraft.completion.rows import Choice
from polydraft.completion.switching import POLICIES, Thresholds, policy_of
from polydraft.completion.switching.bild import Bild
from polydraft.completion.switching.cascade import Cascade, distance
from polydraft.completion.switching.ead import Ead, rolling


def says(*probabilities: float, entropy: float = 1.0, first: int = 1) -> Choice:
    """Tokens from `first` on with these probabilities, best first."""
    tokens = range(first, first + len(probabilities))
    return Choice(tuple(tokens), tuple(map(math.log, probabilities)), entropy)


def entropies(*bits: float) -> list[Choice]:
    return [says(0.5, entropy=each) for each in bits]


@pytest.mark.parametrize(
    ("bits", "window", "mean"),
    [([2], 5, 2), ([1, 3], 5, 2), ([9, 1, 1], 2, 1), ([9, 0, 0, 0, 0, 1], 5, 0.2)],
)
def test_entropy_is_averaged_over_the_window_or_what_there_is_of_it(bits, window, mean):
    assert rolling(entropies(*bits), window) == pytest.approx(mean)


@pytest.mark.parametrize(
    ("bits", "over"), [([2.0], False), ([2.1], True), ([4, 0.5], True), ([4, 0, 0], False)]
)
def test_ead_hands_over_above_its_upper_threshold(bits, over):
    reason = Ead(up=2, down=1, window=5, stay=3).hands_over(entropies(*bits))
    assert (reason is not None) is over
    if reason is not None:
        assert (reason.value, reason.threshold) == (pytest.approx(sum(bits) / len(bits)), 2)


@pytest.mark.parametrize(
    ("bits", "back"),
    [
        ([0.1], False),
        ([0.1, 0.1], False),
        ([0.1] * 3, True),
        ([3, 0.1, 0.1], False),
        ([1] * 3, True),
    ],
)
def test_ead_hands_back_below_its_lower_threshold_after_its_least_stay(bits, back):
    assert Ead(up=2, down=1, window=5, stay=3).hands_back(entropies(*bits)) is back


def test_ead_never_takes_anything_back():
    ead = Ead(2, 1, 5, 3)
    assert ead.rejects(7, says(0.9), says(1e-9), 30.0) is None and not ead.checks


@pytest.mark.parametrize(
    ("token", "loss", "own", "rejected"),
    [
        (1, 9.0, 0.9, None),  # its own best is never rejected, whatever the loss
        (2, 1.9, 0.9, None),
        (2, 2.1, 0.9, "loss (nats)"),
        (2, 1.0, 0.1, "confidence (probability)"),  # the small model was unsure itself
        (2, 2.1, 0.1, "loss (nats)"),
    ],
)
def test_bild_rolls_back_on_loss_and_falls_back_on_low_confidence(token, loss, own, rejected):
    bild = Bild(confidence=0.2, rollback=2.0)
    reason = bild.rejects(token, says(own, first=token), says(0.6), loss)
    assert (reason.statistic if reason else None) == rejected


@pytest.mark.parametrize(("best", "over"), [(0.19, True), (0.2, False), (0.9, False)])
def test_bild_hands_over_below_its_confidence(best, over):
    assert (Bild(0.2, 2.0).hands_over([says(0.9), says(best)]) is not None) is over


def test_a_guess_of_nobody_s_stands_only_if_it_is_the_large_model_s_best():
    for name in ("bild", "spec", "cascade"):
        policy = policy_of(name, Thresholds(rollback=100))
        assert policy.rejects(1, None, says(0.4, 0.39), 0.9) is None
        assert policy.rejects(2, None, says(0.4, 0.39), 0.94) is not None


@pytest.mark.parametrize("gate", [0.0, 1.5])
@pytest.mark.parametrize(
    ("probabilities", "surprisal"), [([0.9, 0.4], 1.02), ([0.4, 0.5], 1.61), ([1.0, 1.0], 0.0)]
)
def test_a_draft_is_checked_if_its_surprisal_reaches_the_gate(gate, probabilities, surprisal):
    for policy in (Bild(0.2, 2, gate), Cascade(0.1, gate)):
        reason = policy.looks([says(p) for p in probabilities])
        assert (reason is not None) is (surprisal >= gate)
        if reason is not None:
            assert reason.value == pytest.approx(surprisal, abs=0.01)


@pytest.mark.parametrize(
    ("q", "p", "alpha", "deferred"),
    [
        (says(0.5, first=2), says(0.9), 0.0, True),
        (says(0.5, first=2), says(0.4), 0.0, False),  # both unsure: the token stays
        (says(0.5, first=2), says(0.9, 0.1), 0.5, True),  # .9 - .5 * TV(.4) = .7
        (says(0.5, first=2), says(0.9, 0.1), 1.1, False),  # .9 - 1.1 * TV(.4) = .46
        (says(0.5, 0.3, first=1), says(0.9, 0.1), 0.5, False),  # its best is the large one's too
    ],
)
def test_cascade_defers_where_the_large_model_is_surer_by_more_than_their_distance(
    q, p, alpha, deferred
):
    token = q.tokens[0]
    loss = -math.log(dict(zip(p.tokens, map(math.exp, p.logprobs), strict=True)).get(token, 1e-6))
    assert (Cascade(alpha).rejects(token, q, p, loss) is not None) is deferred


@pytest.mark.parametrize(
    ("q", "p", "expected"),
    [
        (says(0.5, 0.5), says(0.5, 0.5), 0.0),
        (says(0.7, 0.2), says(0.4, 0.5), 0.3),
        (says(1.0, first=1), says(1.0, first=2), 0.0),  # coarsened: both are "the rest"
        (says(0.6, 0.3), says(0.6, first=2), 0.3),  # {2: .3 or .6, rest: .7 or .4}
    ],
)
def test_the_distance_is_that_of_the_distributions_coarsened_to_their_common_tokens(q, p, expected):
    assert distance(q, p) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6), st.integers(0, 5))
def test_the_coarse_distance_never_exceeds_the_full_one(weights, shift):
    total = sum(weights)
    q = [weight / total for weight in weights]
    p = q[shift % len(q) :] + q[: shift % len(q)]
    full = sum(abs(a - b) for a, b in zip(q, p, strict=True)) / 2
    listed = [sorted(range(len(q)), key=lambda i, own=own: -own[i])[:3] for own in (q, p)]
    choices = [
        Choice(tuple(tokens), tuple(math.log(own[i]) for i in tokens))
        for tokens, own in zip(listed, (q, p), strict=True)
    ]
    assert -1e-9 <= distance(*choices) <= full + 1e-9


def test_small_never_asks_and_large_always_writes():
    unsure = entropies(9.0)
    assert policy_of("small").looks(unsure) is None
    assert policy_of("small").hands_over(unsure) is None
    assert policy_of("large").looks(entropies(0.0)) is not None
    assert policy_of("large").hands_over(entropies(0.0)) is not None


@pytest.mark.parametrize("name", POLICIES)
def test_policies_are_known_by_their_own_names(name):
    assert policy_of(name).name == name


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rollback": -1.0}, "rollback must not be negative"),
        ({"rollback": math.nan}, "rollback must not be negative"),
        ({"window": 0}, "counts of tokens from 1"),
        ({"confidence": 1.5}, "confidence is a probability"),
        ({"entropy": 1.0, "entropy_return": 2.0}, "must not be above entropy"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(values, said):
    with pytest.raises(ValueError, match=said):
        Thresholds(**values)
