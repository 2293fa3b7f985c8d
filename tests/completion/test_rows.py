"""Rows: the best tokens of a vocabulary, and steps that run ahead through guesses."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import ToyModel, naive_greedy, naive_logprob

from polydraft.completion.meter import Meter
from polydraft.completion.protocols import Feed
from polydraft.completion.rows import Ends, Row, choices, step, top
from polydraft.completion.tree import DraftTree
from polydraft.completion.watch import Watch

NO_STOPS = Ends(frozenset(), 8)


@given(
    size=st.sampled_from([5, 600, 4096, 5000, 9001]),
    count=st.integers(1, 5),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_the_best_of_a_vocabulary_are_those_that_topk_finds(size, count, seed):
    values = torch.randn(3, size, generator=torch.Generator().manual_seed(seed))
    found, indices = top(values, count)
    expected = values.topk(count, -1)
    assert torch.equal(found, expected.values)
    assert torch.equal(indices, expected.indices)


def test_choices_are_log_probabilities_and_leave_out_what_is_banned():
    logits = torch.full((1, 9001), -torch.inf)
    logits[0, 9000], logits[0, 3] = 2.0, 1.0
    (choice,) = choices(logits, 4)
    assert choice.tokens == (9000, 3)
    expected = torch.log_softmax(torch.tensor([2.0, 1.0]), -1)
    torch.testing.assert_close(torch.tensor(choice.logprobs), expected)


def started(model: ToyModel, prompt: list[int]) -> tuple[DraftTree, Row]:
    cache = model.new_cache()
    ids = torch.tensor(prompt)
    logits = model.forward(cache, Feed(None, ids, torch.arange(len(ids)), None, len(ids) - 1))
    row = Row("greedy")
    row.take_best(choices(logits)[0], NO_STOPS)
    return DraftTree(model, cache, Meter()), row


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9), right=st.integers(0, 5), wrong=st.integers(0, 2))
def test_guesses_change_the_number_of_passes_and_nothing_else(seed, right, wrong):
    model, prompt = ToyModel(seed=seed), [3, 4, 5]
    expected = naive_greedy(model, prompt, frozenset(), 8)
    tree, row = started(model, prompt)
    guess = [*expected[1 : 1 + right], *([0, 0][:wrong])]
    step(tree, [row], NO_STOPS, Watch(), [guess])
    assert len(row.ids) >= min(2 + right, 8)
    while row.finish is None:
        step(tree, [row], NO_STOPS, Watch())
    assert row.ids == expected
    for depth, (token, logprob) in enumerate(zip(row.ids, row.logprobs, strict=True)):
        exact = naive_logprob(model, [*prompt, *row.ids[:depth]], token)
        assert abs(logprob - exact) < 1e-4


def test_rows_with_guesses_of_different_lengths_share_a_pass():
    model, prompt = ToyModel(seed=3), [3, 4, 5]
    expected = naive_greedy(model, prompt, frozenset(), 8)
    tree, row = started(model, prompt)
    other = row.fork(0, row.seen[0].tokens[1], row.seen[0].logprobs[1], NO_STOPS, "fork")
    passes = tree.passes
    step(tree, [row, other], NO_STOPS, Watch(), [expected[1:4], [1]])
    assert tree.passes == passes + 1
    assert row.ids == expected[:5]
    apart = naive_greedy(model, [*prompt, other.ids[0]], frozenset(), 7)
    assert other.ids[1:] == apart[: len(other.ids) - 1]
