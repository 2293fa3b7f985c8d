"""Superposed decoding on tables: what one step keeps, mixes and ends."""

from __future__ import annotations

import math

import pytest
import torch

from polydraft.completion.ngram import NGrams
from polydraft.completion.rows import Ends
from polydraft.completion.superposed import Superposition
from polydraft.completion.types import Finish
from polydraft.completion.watch import Watch

NO_NGRAMS = NGrams()
A, B, X, Y, STOP = 1, 2, 3, 4, 0


def logits(**p: float) -> torch.Tensor:
    """Logits [5] whose softmax is `p`; the rest has (almost) nothing."""
    table = {"stop": STOP, "a": A, "b": B, "x": X, "y": Y}
    values = torch.full((5,), -60.0)
    for name, probability in p.items():
        values[table[name]] = math.log(probability)
    return values


def start(k: int = 2, max_tokens: int = 8, rule=lambda ids: None, ngrams=NO_NGRAMS):
    return Superposition(
        logits(a=0.6, b=0.3, x=0.1), k, Ends(frozenset({STOP}), max_tokens, rule), ngrams, Watch()
    )


def test_the_first_step_takes_the_k_best_tokens():
    assert [h.ids for h in start(k=2).alive] == [(A,), (B,)]
    assert [h.ids for h in start(k=3).alive] == [(A,), (B,), (X,)]


def test_weights_are_the_softmax_of_the_scores():
    tokens, weights = start(k=2).mixture()
    assert tokens.tolist() == [A, B]
    assert weights.tolist() == pytest.approx([2 / 3, 1 / 3])


def test_a_step_keeps_the_best_of_all_pairs():
    superposition = start(k=2)
    superposition.advance(logits(x=0.7, y=0.2, stop=0.1))
    assert [h.ids for h in superposition.alive] == [(A, X), (B, X)]
    assert superposition.alive[0].score == pytest.approx(math.log(0.6 * 0.7))


def test_a_stop_token_goes_to_the_finished_pool_without_the_token():
    superposition = start(k=2)
    superposition.advance(logits(stop=0.9, x=0.1))
    assert (A,) in [h.ids for h in superposition.finished]
    assert (B,) in [h.ids for h in superposition.finished]


def test_each_hypothesis_ends_by_its_own_rule():
    superposition = start(k=2, rule=lambda ids: Finish.LINE if ids[-1] == B else None)
    assert (B,) in [h.ids for h in superposition.finished]
    assert all(h.ids[-1] != B for h in superposition.alive)


def test_ngrams_tell_the_hypotheses_apart():
    # After a the text always has y, after b always x; the model's mixture cannot tell.
    text = [A, Y, B, X] * 20
    superposition = start(k=2, ngrams=NGrams(text, alpha=0.9))
    superposition.advance(logits(x=0.5, y=0.5))
    assert {h.ids for h in superposition.alive} == {(A, Y), (B, X)}


def test_a_token_that_the_ngrams_never_saw_survives():
    ngrams = NGrams([A, Y] * 50, alpha=0.3)
    known, new = ngrams.interpolate((A,), [Y, X], [0.1, 0.9])
    assert new > 0.6
    assert known > 0.1


def test_an_unseen_context_changes_nothing():
    assert NGrams([A, Y] * 5).interpolate((X,), [A, Y], [0.4, 0.6]) == [0.4, 0.6]


def test_the_longest_seen_context_decides():
    ngrams = NGrams([A, B, X, Y, B, A, X] * 5, alpha=1.0, kappa=0.0)
    after_ab = ngrams.interpolate((A, B), [X, A], [0.5, 0.5])
    assert after_ab == [1.0, 0.0]


def test_contexts_reach_into_the_prompt():
    ngrams = NGrams([A, B, X] * 5, prompt=[A], alpha=1.0, kappa=0.0)
    assert ngrams.interpolate((B,), [X, Y], [0.5, 0.5]) == [1.0, 0.0]
