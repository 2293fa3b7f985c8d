"""Two toy models on the same drafts, against naive references: exactness, caches, failures."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import ToyModel, naive_greedy, naive_logits, naive_logprob

from polydraft.completion.drafters import DRAFTERS, Task
from polydraft.completion.drafters.sampling import CANDIDATES, Sampling, nucleus
from polydraft.completion.engine import Engine, Outcome
from polydraft.completion.meter import Meter
from polydraft.completion.ngram import NGrams
from polydraft.completion.pacing import Costs, Experience
from polydraft.completion.pair import PairEngine
from polydraft.completion.pass_costs import PassCosts
from polydraft.completion.rows import Ends, Row, choices
from polydraft.completion.spec_sampling import verdict
from polydraft.completion.switching import Thresholds, policy_of
from polydraft.completion.types import Cancelled, CancelToken, Deadline, Finish, Origin, Switch

STOPS = frozenset({0})
FLAT = Costs(PassCosts({1: 1.0, 8: 1.1}), PassCosts({1: 4.0, 8: 4.4, 16: 9.0}))
FAR = Costs(PassCosts({1: 1.0, 8: 1.1}), PassCosts({1: 15.0, 8: 16.0}))
STEEP = Costs(PassCosts({1: 1.0}), PassCosts({1: 1.0}))  # five tokens cost five steps
CHECKING = ("bild", "spec", "cascade")
prompts = st.lists(st.integers(1, 23), min_size=1, max_size=40)
noises = st.floats(0, 1.5)


def models(noise: float = 0.7, seed: int = 0) -> tuple[ToyModel, ToyModel]:
    """A small model and a large one that agrees with it the less, the more noise there is."""
    small, large = ToyModel(seed=seed), ToyModel(seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    large.head = large.head + noise * torch.randn(large.head.shape, generator=generator)
    return small, large


def pair(small, large, policy="spec", costs=FLAT, apart=False, **thresholds) -> PairEngine:
    chosen = policy_of(policy, Thresholds(**thresholds))
    return PairEngine(Engine(small), Engine(large), chosen, costs, apart=apart)


def task(k=3, n=10, stops=STOPS, heard=None, drafts=None) -> Task:
    return Task(
        k,
        Ends(stops, n),
        lambda ids, finish: str(tuple(ids)) if ids else None,
        lambda row: None if heard is None else heard.append(row),
        NGrams(),
        on_rows=lambda rows: None if drafts is None else drafts.append([*rows]),
    )


def draft(engine: PairEngine, prompt=(3, 4), method="auto", meter=None, **asked) -> Outcome:
    asked_for = task(**asked)
    drafter = engine.plan(method, asked_for.k, 0).drafter
    return engine.draft(list(prompt), asked_for, meter or Meter(), drafter)


# --- exactness ---


@settings(max_examples=250, deadline=None)
@given(prompts, st.integers(0, 5), noises, st.integers(1, 5), st.sampled_from([FLAT, STEEP]))
def test_greedy_speculation_writes_the_large_model_s_own_greedy_output(
    prompt, seed, noise, k, costs
):
    small, large = models(noise, seed)
    engine = pair(small, large, "spec", costs)
    for _ in range(2):  # the second time both caches know the prompt
        rows = draft(engine, prompt, k=k).rows
        expected = naive_greedy(large, prompt, STOPS, 10)
        if expected or k == 1:  # else its other drafts are shown
            assert (rows[0].ids if rows else []) == expected
        assert len({tuple(row.ids) for row in rows}) == len(rows) <= k


def test_the_small_model_s_end_of_a_draft_is_judged_like_any_token():
    small, large = models(1.0, 3)
    prompt = [1, 13, 22, 18]
    assert naive_greedy(small, prompt, STOPS, 10) == [8, 17]  # and there it would stop
    (row,) = draft(pair(small, large), prompt, k=1).rows
    assert row.ids == naive_greedy(large, prompt, STOPS, 10) == [8, 17, 7, 16]
    assert row.switches[0].kind is Switch.ROLLBACK and row.switches[0].at == 2


def test_a_first_draft_that_was_only_cut_short_goes_on():
    """The small model's own best draft is empty here, and the next best was left unfinished."""
    small, large = models(1.0, 3)
    prompt = [10, 10, 7, 17, 9]
    assert naive_greedy(small, prompt, STOPS, 10) == []
    rows = draft(pair(small, large), prompt, k=2).rows
    assert rows[0].ids == naive_greedy(large, prompt, STOPS, 10)


@settings(max_examples=80, deadline=None)
@given(prompts, st.integers(0, 5), noises, st.integers(2, 4))
def test_a_draft_that_shows_nothing_is_not_the_one_that_is_waited_for(prompt, seed, noise, k):
    """What the large model writes itself is not to be shown here: the next one has to be whole."""
    small, large = models(noise, seed)
    hidden = naive_greedy(large, prompt, STOPS, 10)
    asked = task(k=k)
    shows = asked.key
    asked = replace(asked, key=lambda ids, finish: None if ids == hidden else shows(ids, finish))
    engine = pair(small, large)
    rows = engine.draft(prompt, asked, Meter(), engine.plan("auto", k, 0).drafter).rows
    assert hidden not in [row.ids for row in rows]
    assert not rows or rows[0].finish is not Finish.CUT


@settings(max_examples=60, deadline=None)
@given(prompts, st.integers(0, 5), noises, st.sampled_from(CHECKING))
def test_judged_tokens_carry_the_large_model_s_log_probabilities(prompt, seed, noise, policy):
    small, large = models(noise, seed)
    for row in draft(pair(small, large, policy), prompt).rows:
        for i, (token, logprob) in enumerate(zip(row.ids, row.logprobs, strict=True)):
            if row.checked:
                expected = naive_logprob(large, [*prompt, *row.ids[:i]], token)
                assert logprob == pytest.approx(expected, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(prompts, st.integers(0, 5), noises, st.sampled_from([*CHECKING, "ead"]), st.integers(1, 4))
def test_both_caches_are_left_as_a_fresh_forward_would_leave_them(prompt, seed, noise, policy, k):
    """A rollback takes nothing along: what is kept predicts what the plain sequence predicts."""
    small, large = models(noise, seed)
    engines = Engine(small), Engine(large)
    engine = PairEngine(*engines, policy_of(policy), FLAT)
    rows = draft(engine, prompt, k=k).rows
    for own, model in zip(engines, (small, large), strict=True):
        for held in own._prompts._held:
            assert held.cache.length == len(held.ids)
            assert held.ids == [*prompt, *rows[0].ids][: len(held.ids)] if rows else prompt
            torch.testing.assert_close(
                held.cache.embeddings, model.table[held.ids], atol=1e-4, rtol=0
            )
            assert held.cache.positions.tolist() == list(range(len(held.ids)))


def test_equal_models_agree_on_everything():
    for policy in CHECKING:
        outcome = draft(pair(*models(0.0), policy, confidence=0.0), k=1)
        assert outcome.rows[0].ids == naive_greedy(ToyModel(), [3, 4], STOPS, 10)
        assert set(outcome.rows[0].origins) == {Origin.SMALL}
        assert not outcome.rows[0].switches and outcome.rows[0].checked


@settings(max_examples=40, deadline=None)
@given(prompts, st.integers(0, 5), noises)
def test_a_higher_rollback_threshold_trusts_the_small_model_entirely(prompt, seed, noise):
    small, large = models(noise, seed)
    engine = pair(small, large, "bild", rollback=1e6, confidence=0.0)
    rows = draft(engine, prompt, k=1).rows
    assert [row.ids for row in rows] == [
        row.ids for row in Engine(small).draft(prompt, task(k=1), Meter()).rows
    ]


@settings(max_examples=40, deadline=None)
@given(prompts, st.integers(0, 5), st.integers(0, 5))
def test_every_switch_names_its_statistic_and_every_rollback_has_cause(prompt, seed, k):
    small, large = models(1.0, seed)
    for row in draft(pair(small, large, "bild", rollback=0.5), prompt, k=max(1, k)).rows:
        for event in row.switches:
            assert 0 <= event.at <= len(row.ids)
            if event.kind is Switch.ROLLBACK and event.statistic == "loss (nats)":
                assert event.value > event.threshold == 0.5
        if row.checked:
            assert len(row.origins) == len(row.ids)


# --- what the first user sees, and when ---


def test_the_small_model_s_drafts_are_told_before_the_large_model_is_asked():
    small, large = models()
    told: list[list[Row]] = []
    asked_before: list[int] = []
    engine = pair(small, large)
    heard: list[Row] = []
    plan = engine.plan("auto", 3, 0)
    asked = Task(
        3, Ends(STOPS, 10), lambda ids, finish: str(ids), heard.append, NGrams(),
        on_rows=lambda rows: (told.append([*rows]), asked_before.append(large.passes)),
    )  # fmt: skip
    engine.draft([3, 4], asked, Meter(), plan.drafter)
    assert asked_before == [0] and large.passes > 0
    alone = Engine(small).draft([3, 4], task(), Meter(), plan.drafter).rows
    assert [row.ids for row in told[0]] == [row.ids for row in alone]
    assert heard[0].ids == alone[0].ids


def test_an_easy_draft_costs_the_large_model_nothing():
    small, large = models()
    outcome = draft(pair(small, large, "bild", gate=100.0))
    assert large.passes == 0 and outcome.large is None and not outcome.escalated


def test_ead_lets_the_large_model_write_from_the_first_uncertain_token_on():
    small, large = models(1.0)
    outcome = draft(
        pair(small, large, "ead", entropy=0.0, entropy_return=0.0), k=1, stops=frozenset()
    )
    (row,) = outcome.rows
    assert row.ids == naive_greedy(large, [3, 4], frozenset(), 10)
    assert set(row.origins) == {Origin.LARGE}
    assert [event.kind for event in row.switches] == [Switch.HAND_OVER]


def test_ead_goes_back_to_the_small_model_after_its_stay():
    small, large = models(1.0)
    engine = pair(small, large, "ead", entropy=0.0, entropy_return=0.0, stay=2)
    object.__setattr__(engine._policy, "down", 1e9)  # always certain enough
    (row,) = draft(engine, k=1, stops=frozenset()).rows
    assert row.origins == [Origin.LARGE] * len(row.origins)
    backs = [event.at for event in row.switches if event.kind is Switch.HAND_BACK]
    assert backs == [2, 4, 6, 8]  # and over again at once: every token is uncertain here


def test_where_five_tokens_cost_five_steps_the_small_model_proposes_nothing():
    assert STEEP.pace(1, small=0.75, guesses=0.4).most == 0
    assert FAR.pace(1, small=0.75, guesses=0.4).most >= 3


def test_a_prompt_that_is_yet_to_be_read_makes_asking_dearer():
    experience = Experience()
    experience.asked(100.0)
    costs = Costs(PassCosts({1: 1.0}), PassCosts({1: 4.0, 8: 4.4, 16: 8.8}))
    assert costs.price(8, experience) == 1.0  # they join the first check
    assert costs.price(400, experience) == pytest.approx(1 + 220 / 100)


def test_a_draft_that_is_probable_enough_is_not_judged_while_the_prompt_is_unread():
    small, large = models()
    prompt = list(range(1, 20)) * 10
    surprisal = -sum(draft(pair(small, large, "small"), prompt, k=1).rows[0].logprobs)
    engine = pair(small, large, "bild", gate=surprisal - 0.5)
    first = draft(engine, prompt, k=1)
    assert first.large is None and not first.escalated
    engine.prefill(prompt, Meter())
    second = draft(engine, prompt, k=1)
    assert second.large is not None and "surprisal" in second.escalated


# --- when things go wrong ---


class Broken(ToyModel):
    """Runs out of memory in a given pass."""

    fails_at = 1

    def forward(self, cache, feed):
        if self.passes + 1 >= self.fails_at:
            raise RuntimeError("out of memory: tried to allocate 3 GiB")
        return super().forward(cache, feed)


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_large_model_that_fails_leaves_the_small_one_s_drafts_and_is_not_asked_again(fails_at):
    small, large = models(1.0)[0], Broken(seed=7)
    large.fails_at = fails_at
    engine = pair(small, large)
    alone = Engine(small)
    outcome = draft(engine, k=3)
    assert "out of memory: tried to allocate 3 GiB" in outcome.notice
    expected = alone.draft([3, 4], task(), Meter(), engine.plan("auto", 3, 0).drafter)
    passes = large.passes
    again = draft(engine, [5, 6, 7])
    assert not again.notice and large.passes == passes
    assert again.rows[0].ids == naive_greedy(small, [5, 6, 7], STOPS, 10)
    assert outcome.rows[0].ids == expected.rows[0].ids


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_large_model_that_fails_while_sampling_leaves_the_small_one_to_sample(fails_at):
    small, large = models(1.0)[0], Broken(seed=7)
    large.fails_at = fails_at
    engine = pair(small, large)
    outcome = draft(engine, method="nucleus", stops=frozenset())
    assert "out of memory: tried to allocate 3 GiB" in outcome.notice
    assert outcome.rows and {row.drafter for row in outcome.rows} == {"sampled"}
    passes = large.passes
    again = draft(engine, method="nucleus", stops=frozenset())
    assert again.rows and not again.notice and large.passes == passes


def test_a_large_model_that_fails_in_idle_time_costs_the_small_one_nothing():
    small, large = models()[0], Broken()
    engine = pair(small, large)
    prompt = list(range(1, 20))
    assert engine.prefill(prompt, Meter()) == len(prompt)
    outcome = draft(engine, prompt, k=1)
    assert outcome.recomputed_tokens == 1 and "out of memory" in outcome.notice


@pytest.mark.parametrize("policy", ["spec", "bild", "ead", "cascade"])
def test_a_cancel_ends_the_request_within_one_pass_of_either_model(policy):
    for allowed in range(1, 12):
        small, large = models(1.0)
        cancel = CancelToken()

        class Counting(Meter):
            def count_pass(self, allowed=allowed, cancel=cancel):
                if self.passes == allowed:
                    cancel.cancel()
                super().count_pass()

        try:
            draft(
                pair(small, large, policy, entropy=0.0, entropy_return=0.0), meter=Counting(cancel)
            )
        except Cancelled:
            assert small.passes + large.passes == allowed


@pytest.mark.parametrize("polls", range(1, 14))
def test_when_time_runs_out_under_the_large_model_the_small_one_s_drafts_stand(polls):
    class TimeUp(Deadline):
        left = polls

        @property
        def expired(self) -> bool:
            TimeUp.left -= 1
            return TimeUp.left < 0

    small, large = models(1.0)
    drafts: list[list[Row]] = []
    outcome = draft(pair(small, large), meter=Meter(None, TimeUp(0.0)), drafts=drafts)
    if drafts:
        assert len(outcome.rows) >= 1
        assert all(row.finish is not Finish.DEADLINE for row in outcome.rows)
        if outcome.rows[0].ids != naive_greedy(large, [3, 4], STOPS, 10):
            assert outcome.rows[0].ids == drafts[0][0].ids


def test_on_a_device_of_its_own_the_large_model_reads_while_the_small_one_drafts():
    """Each waits for the other's pass to begin: one after the other they would wait for ever."""
    small, large = models(1.0)
    began = {"small": threading.Event(), "large": threading.Event()}

    def meeting(model, own, other):
        forward = model.forward

        def run(cache, feed):
            began[own].set()
            assert began[other].wait(10), "the two models took turns"
            return forward(cache, feed)

        model.forward = run

    meeting(small, "small", "large")
    meeting(large, "large", "small")
    engine = pair(small, large, apart=True)
    prompt = list(range(1, 21))
    outcome = draft(engine, prompt, k=1)
    assert outcome.rows[0].ids == naive_greedy(large, prompt, STOPS, 10)


@settings(max_examples=40, deadline=None)
@given(prompts, st.integers(0, 5), noises, st.integers(1, 4))
def test_on_devices_of_their_own_the_draft_is_the_large_model_s_as_well(prompt, seed, noise, k):
    small, large = models(noise, seed)
    engine = pair(small, large, apart=True)
    for _ in range(2):
        rows = draft(engine, prompt, k=k).rows
        expected = naive_greedy(large, prompt, STOPS, 10)
        assert (rows[0].ids if rows else []) == expected or not expected


def test_the_small_model_goes_on_while_the_large_one_looks():
    small, large = models(1.0)
    forward, met = large.forward, []

    def run(cache, feed):
        before, until = small.passes, time.monotonic() + 0.2
        while small.passes == before and time.monotonic() < until:
            time.sleep(0.001)
        met.append(small.passes > before)
        return forward(cache, feed)

    large.forward = run
    rows = draft(pair(small, large, costs=FAR, apart=True), k=1, n=40, stops=frozenset()).rows
    assert rows[0].ids == naive_greedy(large, [3, 4], frozenset(), 40)
    assert any(met[1:])  # the first pass reads the prompt


def test_a_cancel_ends_the_reading_beside_as_well():
    small, large = models(1.0)
    cancel = CancelToken()
    forward = small.forward

    def run(cache, feed):
        cancel.cancel()
        return forward(cache, feed)

    small.forward = run
    engine = pair(small, large, apart=True)
    with pytest.raises(Cancelled):
        draft(engine, list(range(1, 21)) * 8, meter=Meter(cancel))
    assert not [t for t in threading.enumerate() if t.name.startswith("polydraft-large")]


@pytest.mark.parametrize("fails_at", [1, 3])
def test_sampling_goes_on_without_a_large_model_that_fails(fails_at):
    small, large = models(1.0)[0], Broken(seed=7)
    large.fails_at = fails_at
    engine = pair(small, large)
    outcome = draft(engine, method="nucleus")
    assert "out of memory" in outcome.notice
    alone = Engine(small).draft([3, 4], task(), Meter(), DRAFTERS["nucleus"])
    assert [row.ids for row in outcome.rows] == [row.ids for row in alone.rows]


def test_idle_time_brings_the_prompt_into_both_caches():
    small, large = models()
    engine = pair(small, large)
    prompt = list(range(1, 20)) * 2
    engine.prefill(prompt, Meter())
    before = small.passes, large.passes
    outcome = draft(engine, prompt, k=1)
    assert outcome.work.prompt_tokens == 1
    assert outcome.large is not None and outcome.large.prompt_tokens == 0
    assert small.passes > before[0] and large.passes > before[1]


def test_pairs_share_the_engine_of_a_model_and_so_its_prompts():
    small, large = models()
    shared = Engine(small)
    prompt = list(range(1, 20))
    first = PairEngine(shared, Engine(large), policy_of("spec"), FLAT)
    second = PairEngine(shared, Engine(large), policy_of("bild"), FLAT)
    draft(first, prompt)
    assert draft(second, prompt).recomputed_tokens == 1


def test_small_and_large_alone_are_the_engines_themselves():
    small, large = models(1.0)
    for policy, model in (("small", small), ("large", large)):
        outcome = draft(pair(small, large, policy), method="greedy", k=1)
        assert outcome.rows[0].ids == naive_greedy(model, [3, 4], STOPS, 10)


@pytest.mark.parametrize("method", DRAFTERS)
def test_every_drafter_can_propose(method):
    small, large = models()
    rows = draft(pair(small, large, "bild"), method=method).rows
    assert rows and len({tuple(row.ids) for row in rows}) == len(rows)


# --- sampling ---


def test_the_worked_example_of_speculative_sampling():
    """20,000 draws; 5 standard deviations: fails by chance under 1e-6."""
    q, p = {1: 0.5, 2: 0.5}, {1: 0.8, 3: 0.2}
    generator = torch.Generator().manual_seed(0)
    count, seen = 20_000, Counter[int]()
    for i in range(count):
        seen[verdict(1 + i % 2, q, p, generator)] += 1
    for token in (1, 2, 3):
        expected = p.get(token, 0.0)
        deviation = math.sqrt(count * expected * (1 - expected))
        assert abs(seen[token] - count * expected) <= 5 * deviation


def test_sampled_drafts_follow_the_large_model_s_truncated_distribution():
    """First and second tokens of 3,000 drafts, each frequency within 5 standard deviations of the
    large model's own: some 60 comparisons, so it fails by chance in under 4e-5 of all runs."""
    small, large = models(1.0)
    count, prompt = 3000, [3, 4]
    first, second = Counter[int](), Counter[tuple[int, int]]()
    for seed in range(count):
        sampling = Sampling("nucleus", nucleus, 0.9, seed=seed)
        engine = pair(small, large)
        asked = task(k=1, n=2, stops=frozenset())
        (row,) = engine.draft(prompt, asked, Meter(), sampling).rows
        first[row.ids[0]] += 1
        second[(row.ids[0], row.ids[1])] += 1
    rule = Sampling("nucleus", nucleus, 0.9)

    def truth(before: list[int]) -> dict[int, float]:
        logits = naive_logits(large, [*prompt, *before])
        return rule.distribution(choices(logits[None], CANDIDATES)[0])

    def close(seen: int, probability: float) -> bool:
        spread = math.sqrt(count * probability * (1 - probability))
        return abs(seen - count * probability) <= 5 * spread + 1e-9

    expected = truth([])
    assert set(first) <= set(expected)
    assert all(close(first[token], p) for token, p in expected.items())
    for token, p in expected.items():
        for then, q in truth([token]).items():
            assert close(second[token, then], p * q)


@settings(max_examples=30, deadline=None)
@given(prompts, st.integers(0, 5), noises)
def test_sampled_drafts_carry_the_large_model_s_log_probabilities(prompt, seed, noise):
    small, large = models(noise, seed)
    for row in draft(pair(small, large), prompt, method="nucleus").rows:
        for i, (token, logprob) in enumerate(zip(row.ids, row.logprobs, strict=True)):
            expected = naive_logprob(large, [*prompt, *row.ids[:i]], token)
            assert logprob == pytest.approx(expected, abs=1e-4)
