"""Each drafting method against a naive reference on a toy model, or against its statistical law."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import ToyModel, naive_greedy, naive_logits

from polydraft.completion.drafters import DRAFTERS, Task
from polydraft.completion.drafters.beam import Beam
from polydraft.completion.drafters.entropy_fork import entropy
from polydraft.completion.drafters.gumbel import GumbelTopK
from polydraft.completion.drafters.led_beam import LedBeam
from polydraft.completion.drafters.sampling import Sampling, min_p, nucleus
from polydraft.completion.engine import Engine
from polydraft.completion.meter import Meter
from polydraft.completion.ngram import NGrams
from polydraft.completion.rows import Choice, Ends, Row
from polydraft.completion.types import Cancelled, CancelToken, Deadline, Finish

STOPS = frozenset({0})


def task(k: int = 3, n: int = 6, heard: list[Row] | None = None, stops=STOPS) -> Task:
    return Task(
        k,
        Ends(stops, n),
        lambda ids, finish: str(tuple(ids)) if ids else None,
        lambda row: heard.append(row) if heard is not None else None,
        NGrams(),
    )


def draft(model: ToyModel, name: str, prompt=(3, 4), **asked) -> list[Row]:
    return Engine(model, DRAFTERS[name]).draft(list(prompt), task(**asked), Meter()).rows


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("name", DRAFTERS)
def test_rows_are_finished_distinct_and_at_most_k(name, k):
    for seed in range(6):
        rows = draft(ToyModel(seed=seed), name, k=k)
        assert 0 < len(rows) <= k
        assert len({tuple(row.ids) for row in rows}) == len(rows)
        for row in rows:
            assert row.finish in (Finish.STOP_TOKEN, Finish.LENGTH)
            assert len(row.ids) <= 6 and not STOPS & set(row.ids)
            assert len(row.logprobs) == len(row.ids)
            assert row.exact is (name not in {"superposed-plain", "superposed-ngrams"})


@pytest.mark.parametrize("name", DRAFTERS)
def test_the_same_request_gives_the_same_drafts(name):
    first, second = (draft(ToyModel(seed=2), name) for _ in range(2))
    assert [row.ids for row in first] == [row.ids for row in second]


@pytest.mark.parametrize("name", DRAFTERS)
def test_a_cancel_ends_the_search_before_the_next_pass(name):
    model, cancel = ToyModel(seed=4), CancelToken()
    at_cancel: list[int] = []

    def rule(ids):
        if len(ids) == 2 and not cancel.cancelled:
            cancel.cancel()
            at_cancel.append(model.passes)

    asked = Task(3, Ends(frozenset(), 6, rule), lambda i, f: str(i), lambda r: None, NGrams())
    with pytest.raises(Cancelled):
        Engine(model, DRAFTERS[name]).draft([3, 4], asked, Meter(cancel))
    assert model.passes == at_cancel[0]


@pytest.mark.parametrize("name", DRAFTERS)
def test_when_time_runs_out_there_are_the_drafts_as_far_as_they_came(name):
    class TimeUp(Deadline):
        polls = 0

        @property
        def expired(self) -> bool:
            TimeUp.polls += 1
            return TimeUp.polls > 4

    rows = (
        Engine(ToyModel(seed=4), DRAFTERS[name])
        .draft([3, 4], task(n=12, stops=frozenset()), Meter(None, TimeUp()))
        .rows
    )
    assert rows
    assert any(row.finish is Finish.DEADLINE for row in rows)
    assert all(0 < len(row.ids) < 12 for row in rows)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 20), width=st.integers(1, 4))
def test_a_beam_that_holds_everything_finds_the_best_drafts(seed, width):
    """Four tokens, two steps, a beam of 16: every draft is seen, so the best must win."""
    model = ToyModel(vocab_size=4, seed=seed)
    rows = Engine(model, Beam()).draft([1, 2], task(k=16, n=2, stops=frozenset()), Meter()).rows
    first = naive_logits(model, [1, 2]).log_softmax(-1)
    expected = {
        (a, b): float(first[a] + naive_logits(model, [1, 2, a]).log_softmax(-1)[b])
        for a, b in itertools.product(range(4), repeat=2)
    }
    best = sorted(expected, key=expected.__getitem__, reverse=True)[:width]
    assert [tuple(row.ids) for row in rows[:width]] == best
    assert sum(rows[0].logprobs) == pytest.approx(expected[best[0]], abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 20))
def test_a_beam_keeps_the_best_prefixes_of_each_length(seed):
    """Without stop tokens: equal to a naive beam, step by step."""
    model, k, n = ToyModel(seed=seed), 3, 4
    beam: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for _ in range(n):
        grown = [
            (score + float(logprob), (*ids, token))
            for score, ids in beam
            for token, logprob in enumerate(naive_logits(model, [3, 4, *ids]).log_softmax(-1))
        ]
        beam = sorted(grown, reverse=True)[:k]
    rows = draft(model, "beam", k=k, n=n, stops=frozenset())
    assert [tuple(row.ids) for row in rows] == [ids for _, ids in beam]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 40), k=st.integers(2, 5))
def test_the_led_beam_shows_the_greedy_draft_first_and_keeps_to_its_passes(seed, k):
    model = ToyModel(seed=seed)
    greedy = naive_greedy(model, [3, 4], STOPS, 12)
    asked = replace(task(k=k, n=12), key=lambda ids, finish: str((*ids, finish)))
    rows = Engine(model, LedBeam(patience=1.5)).draft([3, 4], asked, Meter()).rows
    assert rows[0].ids == greedy
    assert len(rows) == k  # so none was looked for behind the others
    prompt = 1
    assert model.passes - prompt <= max(len(greedy) + 1, math.ceil(1.5 * len(greedy)))
    assert {row.finish for row in rows} <= {Finish.STOP_TOKEN, Finish.LENGTH, Finish.CUT}
    for row in rows:
        exact = [
            float(naive_logits(model, [3, 4, *row.ids[:i]]).log_softmax(-1)[token])
            for i, token in enumerate(row.ids)
        ]
        assert row.logprobs == pytest.approx(exact, abs=1e-4)


def test_first_fork_begins_with_the_k_best_first_tokens():
    model = ToyModel(seed=5)
    best = naive_logits(model, [3, 4]).topk(3).indices.tolist()
    rows = draft(model, "first-fork", stops=frozenset())
    assert {row.ids[0] for row in rows} == set(best)
    for row in rows:
        assert row.ids[1:] == naive_greedy(model, [3, 4, row.ids[0]], frozenset(), 5)


def test_entropy_fork_parts_where_the_greedy_row_is_least_certain():
    model = ToyModel(seed=6)
    greedy = naive_greedy(model, [3, 4], frozenset(), 6)

    def uncertainty(depth: int) -> float:
        p = naive_logits(model, [3, 4, *greedy[:depth]]).softmax(-1).sort(descending=True).values
        kept = p[:6].tolist()
        return -sum(q * math.log(q) for q in (*kept, max(1e-12, 1 - sum(kept))))

    expected = max(range(6), key=uncertainty)
    rows = draft(model, "entropy-fork", k=2, stops=frozenset())
    (other,) = [row.ids for row in rows if row.ids != greedy]
    parted = next(i for i, (a, b) in enumerate(zip(greedy, other, strict=True)) if a != b)
    assert parted == expected


def test_entropy_counts_the_rest_as_one_outcome():
    even = Choice((1, 2), (math.log(0.25), math.log(0.25)))
    assert entropy(even) == pytest.approx(0.5 * math.log(4) + 0.5 * math.log(2))
    assert entropy(Choice((1,), (0.0,))) == 0


@pytest.mark.parametrize(
    ("limit", "kept"), [(0.4, 1), (0.5, 1), (0.51, 2), (0.8, 2), (0.81, 3), (1.0, 4)]
)
def test_nucleus_keeps_the_smallest_set_that_reaches_its_limit(limit, kept):
    p = torch.tensor([0.5, 0.3, 0.125, 0.075], dtype=torch.double)
    assert nucleus(p, limit).tolist() == [i < kept for i in range(4)]


@pytest.mark.parametrize(("limit", "kept"), [(0.1, 4), (0.2, 3), (0.3, 2), (0.7, 1), (1.0, 1)])
def test_min_p_keeps_what_is_near_enough_to_the_best(limit, kept):
    p = torch.tensor([0.5, 0.3, 0.125, 0.075])
    assert min_p(p, limit).tolist() == [i < kept for i in range(4)]


def test_sampled_first_tokens_follow_the_truncated_distribution():
    """1,500 draws, each frequency within 5 standard deviations: fails by chance under 1e-5."""
    model, draws = ToyModel(vocab_size=6, seed=1), 1500
    p = (naive_logits(model, [3, 4]).log_softmax(-1) / 0.8).softmax(-1)
    order = p.argsort(descending=True)
    kept = order[nucleus(p[order], 0.9)]
    expected = p[kept] / p[kept].sum()
    seen: Counter[int] = Counter()
    for seed in range(draws):
        drafter = Sampling("nucleus", nucleus, 0.9, seed=seed)
        asked = task(k=1, n=1, stops=frozenset())
        (row,) = Engine(model, drafter).draft([3, 4], asked, Meter()).rows
        seen[row.ids[0]] += 1
    assert set(seen) <= set(kept.tolist())
    for token, q in zip(kept.tolist(), expected.tolist(), strict=True):
        assert abs(seen[token] - draws * q) <= 5 * math.sqrt(draws * q * (1 - q)) + 1


def test_gumbel_drafts_are_a_sample_without_replacement():
    """Two of four one-token drafts: pairs as often as drawing twice without putting back.

    1,500 draws, each pair's frequency within 5 standard deviations: fails by chance under 1e-4.
    """
    model, draws = ToyModel(vocab_size=4, seed=7), 1500
    p = (naive_logits(model, [3, 2]) * 1.0).softmax(-1).tolist()
    seen: Counter[frozenset[int]] = Counter()
    for seed in range(draws):
        asked = task(k=2, n=1, stops=frozenset())
        rows = Engine(model, GumbelTopK(seed=seed)).draft([3, 2], asked, Meter()).rows
        assert len(rows) == 2
        seen[frozenset(row.ids[0] for row in rows)] += 1
    for a, b in itertools.combinations(range(4), 2):
        q = p[a] * p[b] / (1 - p[a]) + p[b] * p[a] / (1 - p[b])
        assert abs(seen[frozenset((a, b))] - draws * q) <= 5 * math.sqrt(draws * q * (1 - q)) + 1


def test_gumbel_drafts_are_distinct_by_construction():
    for seed in range(20):
        rows = draft(ToyModel(seed=seed), "gumbel", k=8, stops=frozenset())
        assert len(rows) == 8
