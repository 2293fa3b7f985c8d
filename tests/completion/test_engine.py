"""The decoder against naive full forwards of a toy model."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import ToyModel, naive_greedy, naive_logprob

from polydraft.completion.drafters import DRAFTERS, Task
from polydraft.completion.engine import Engine
from polydraft.completion.meter import Meter
from polydraft.completion.ngram import NGrams
from polydraft.completion.rows import Ends, Row
from polydraft.completion.types import Cancelled, CancelToken, Deadline, Finish

STOPS = frozenset({0})
EXACT = [name for name in DRAFTERS if name not in {"superposed-plain", "superposed-ngrams"}]
LED_BY_GREEDY = ["greedy", "first-fork", "lazy-fork", "entropy-fork", "superposed"]
prompts = st.lists(st.integers(1, 23), min_size=1, max_size=40)


def task(
    k: int = 3,
    n: int = 10,
    heard: list[Row] | None = None,
    rule=lambda ids: None,
    key=lambda ids, finish: str(tuple(ids)) if ids else None,
) -> Task:
    ends = Ends(STOPS, n, rule)
    return Task(
        k, ends, key, lambda row: heard.append(row) if heard is not None else None, NGrams()
    )


def draft(model: ToyModel, prompt: Sequence[int], method: str = "superposed", **asked):
    return Engine(model, DRAFTERS[method]).draft(prompt, task(**asked), Meter()).rows


@settings(max_examples=60, deadline=None)
@given(prompts, st.integers(0, 5), st.sampled_from(EXACT))
def test_scores_equal_a_naive_full_forward(prompt, seed, method):
    model = ToyModel(seed=seed)
    for row in draft(model, prompt, method):
        for i, (token, logprob) in enumerate(zip(row.ids, row.logprobs, strict=True)):
            expected = naive_logprob(model, [*prompt, *row.ids[:i]], token)
            assert logprob == pytest.approx(expected, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(prompts, st.integers(0, 5), st.sampled_from(LED_BY_GREEDY))
def test_the_greedy_row_is_always_among_the_drafts(prompt, seed, method):
    model = ToyModel(seed=seed)
    expected = naive_greedy(model, prompt, STOPS, 10)
    rows = draft(model, prompt, method)
    if expected:
        assert expected in [row.ids for row in rows]


@settings(max_examples=40, deadline=None)
@given(prompts, st.integers(0, 5))
def test_superposed_with_one_draft_equals_greedy(prompt, seed):
    model = ToyModel(seed=seed)
    one = draft(model, prompt, "superposed", k=1)
    assert [r.ids for r in one] == [r.ids for r in draft(model, prompt, "greedy")]


@settings(max_examples=40, deadline=None)
@given(prompts, st.integers(0, 5), st.integers(2, 6))
def test_k_drafts_are_distinct_the_greedy_one_first_and_the_others_ranked(prompt, seed, k):
    rows = draft(ToyModel(seed=seed), prompt, k=k)
    assert len({tuple(row.ids) for row in rows}) == len(rows) <= k
    assert "greedy" not in [row.drafter for row in rows[1:]]  # unless it shows nothing
    scores = [row.mean_logprob for row in rows[1:]]
    assert scores == sorted(scores, reverse=True)


def test_drafts_that_read_alike_are_one_and_others_fill_up():
    model = ToyModel(seed=1)

    def key(ids: Sequence[int], finish: Finish) -> str | None:
        return str([token // 2 for token in ids]) if ids else None  # pairs of tokens read alike

    rows = draft(model, [3, 4, 5], k=6, key=key)
    assert len({key(row.ids, Finish.LENGTH) for row in rows}) == len(rows) == 6


@settings(max_examples=40, deadline=None)
@given(prompts, prompts, st.integers(0, 3))
def test_a_request_after_others_equals_one_on_a_fresh_engine(first, second, seed):
    model = ToyModel(seed=seed)
    engine = Engine(model)
    for prompt in (first, second, first + second, first):
        used = engine.draft(prompt, task(), Meter()).rows
        fresh = Engine(model).draft(prompt, task(), Meter()).rows
        assert [row.ids for row in used] == [row.ids for row in fresh]


def test_one_more_token_recomputes_only_the_tail():
    engine = Engine(ToyModel())
    prompt = [1 + i % 20 for i in range(60)]
    assert engine.draft(prompt, task(), Meter()).recomputed_tokens == 60
    assert engine.draft([*prompt, 21], task(), Meter()).recomputed_tokens == 1


def test_an_accepted_draft_is_not_computed_again():
    engine = Engine(ToyModel(seed=2))
    prompt = [5, 6, 7, 8]
    best = engine.draft(prompt, task(), Meter()).rows[0]
    after = engine.draft([*prompt, *best.ids], task(), Meter())
    assert after.recomputed_tokens <= 2


def test_a_cancel_is_noticed_before_the_next_pass():
    model = ToyModel(seed=4)
    cancel = CancelToken()
    passes_at_cancel = []

    def rule(ids: Sequence[int]) -> Finish | None:
        if len(ids) == 4 and not cancel.cancelled:
            cancel.cancel()
            passes_at_cancel.append(model.passes)
        return None

    with pytest.raises(Cancelled):
        Engine(model).draft([1, 2, 3], task(n=40, rule=rule), Meter(cancel))
    assert model.passes == passes_at_cancel[0]


def test_a_cancelled_request_leaves_the_engine_exact():
    model = ToyModel(seed=4)
    engine, cancel = Engine(model, DRAFTERS["superposed"]), CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        engine.draft([1, 2, 3], task(), Meter(cancel))
    rows = engine.draft([1, 2, 3], task(), Meter()).rows
    assert [r.ids for r in rows] == [r.ids for r in draft(model, [1, 2, 3])]


def test_a_passed_deadline_returns_what_there_is():
    model = ToyModel(seed=4)
    assert Engine(model).draft([1, 2], task(), Meter(deadline=Deadline(0.0))).rows == []

    class Passes:
        """A deadline in passes instead of seconds."""

        expired = property(lambda self: model.passes >= 4)

    rows = Engine(model).draft([1, 2], task(n=40), Meter(deadline=Passes())).rows  # type: ignore[arg-type]
    assert rows and rows[0].finish is Finish.DEADLINE
    assert model.passes == 4


def test_the_first_finished_row_is_announced_before_the_last_pass():
    model = ToyModel(seed=5)
    heard: list[tuple[str, int]] = []
    ends = Ends(STOPS, 8)
    asked = Task(
        3,
        ends,
        lambda i, f: str(i),
        lambda row: heard.append((row.drafter, model.passes)),
        NGrams(),
    )
    Engine(model, DRAFTERS["superposed"]).draft([1, 2, 3], asked, Meter())
    assert heard[0][1] < model.passes
    assert len(heard) >= 3


def test_superposition_costs_fewer_passes_than_a_draft_after_another():
    prompt = [1, 2, 3, 4]
    single, several = ToyModel(seed=6), ToyModel(seed=6)
    Engine(single, DRAFTERS["greedy"]).draft(prompt, task(k=1, n=24), Meter())
    Engine(several).draft(prompt, task(k=3, n=24), Meter())
    assert several.passes < 3 * single.passes


def test_stop_tokens_never_enter_a_draft():
    for seed in range(20):
        for row in draft(ToyModel(seed=seed), [seed + 1]):
            assert not STOPS & set(row.ids)
            assert torch.isfinite(torch.tensor(row.logprobs)).all()


@pytest.mark.parametrize("method", DRAFTERS)
def test_every_row_that_is_returned_was_announced_once(method):
    for seed in range(12):
        heard: list[Row] = []
        rows = draft(ToyModel(seed=seed), [seed + 1, 3], method, heard=heard)
        assert {id(row) for row in rows} <= {id(row) for row in heard}
        assert len({id(row) for row in heard}) == len(heard)
