"""Guesses change the number of passes and nothing else, whoever guesses; when they are made."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import ToyCache, ToyModel, naive_greedy, naive_logprob

from polydraft.completion.drafters import DRAFTERS, Task
from polydraft.completion.drafters.auto import Auto
from polydraft.completion.engine import Engine
from polydraft.completion.guessers import GUESSERS, Ahead, Guessers
from polydraft.completion.guessers.guesser import Acceptance, Guess, Proposal, Proposals, kept
from polydraft.completion.guessers.layer_choice import most_spared, spread
from polydraft.completion.guessers.layer_skip import LayerSkip, sublayers_of
from polydraft.completion.guessers.nothing import Nothing
from polydraft.completion.meter import Meter
from polydraft.completion.ngram import NGrams
from polydraft.completion.ngram_index import NGramIndex
from polydraft.completion.pass_costs import PassCosts
from polydraft.completion.protocols import Feed
from polydraft.completion.rows import Choice, Ends, Row
from polydraft.completion.tree import DraftTree
from polydraft.completion.types import Cancelled, CancelToken
from polydraft.lsp_server.setting_rules import GUESSERS as NAMES

STOPS = frozenset({0})
FREE, DEAR = PassCosts({1: 10.0, 32: 10.0}), PassCosts({1: 10.0, 2: 20.0})
prompts = st.lists(st.integers(1, 23), min_size=1, max_size=40)


class SkippingToy(ToyModel):
    """A toy whose sublayers each add a little to the logits; without some it is not quite right."""

    sublayers = 8

    def forward(self, cache: ToyCache, feed: Feed) -> torch.Tensor:
        logits = super().forward(cache, feed)
        if feed.skip:
            self.passes -= 1  # only exact passes are counted
            for each in feed.skip:
                generator = torch.Generator().manual_seed(each)
                logits = logits + torch.randn(self.vocab_size, generator=generator)
            cache.embeddings = cache.embeddings.clone()
            cache.embeddings[-len(logits) :] = 1e6  # whoever looks at these slots will show it
        return logits


class Random:
    """Proposes anything, the end token included, and too much of it."""

    name, step_ms = "random", 0.0

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def propose(self, tree: DraftTree, row: Row) -> Proposals:
        while self._random.random() < 0.8:
            yield Proposal(self._random.randrange(24), "any", self._random.random())

    def learn(self, fed: Sequence[int], said: Sequence[Choice]) -> None:
        assert len(fed) == len(said)


@dataclass
class Oracle:
    """Knows the draft, but for tokens where it is wrong; keeps what it heard."""

    draft: list[int]
    wrong: int = -1  # the place of a wrong guess
    name: str = "oracle"
    step_ms: float = 0.0
    heard: list[tuple[Sequence[int], Sequence[Choice]]] = field(default_factory=list)

    def propose(self, tree: DraftTree, row: Row) -> Proposals:
        for at in range(len(row.ids), len(self.draft)):
            yield Proposal(5 if at == self.wrong else self.draft[at], "known")

    def learn(self, fed: Sequence[int], said: Sequence[Choice]) -> None:
        self.heard.append((fed, said))


def task(ahead: Ahead, k: int = 1, n: int = 12) -> Task:
    return Task(
        k,
        Ends(STOPS, n),
        lambda ids, finish: str((*ids, finish)),  # an empty greedy draft is one as well
        lambda row: None,
        NGrams(),
        ahead=ahead,
    )


def assert_greedy(model: ToyModel, prompt: list[int], row: Row) -> None:
    assert row.ids == naive_greedy(model, prompt, STOPS, 12)
    for depth, (token, logprob) in enumerate(zip(row.ids, row.logprobs, strict=True)):
        exact = naive_logprob(model, [*prompt, *row.ids[:depth]], token)
        assert logprob == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize("method", ["greedy-ahead", "led-beam", "auto"])
@settings(max_examples=25, deadline=None)
@given(
    prompt=prompts,
    seed=st.integers(0, 5),
    name=st.sampled_from(GUESSERS),
    k=st.integers(1, 4),
    costs=st.sampled_from([FREE, DEAR, None]),
)
def test_the_greedy_row_is_the_naive_one_whoever_guesses(method, prompt, seed, name, k, costs):
    model = SkippingToy(seed=seed)
    engine = Engine(model, Auto(costs))
    workspace = NGramIndex()
    workspace.put("a", naive_greedy(model, [prompt[-1]], STOPS, 20))
    for _ in range(2):  # the second time there is something learnt
        ahead = engine.guessers.ahead(name, prompt, workspace)
        drafter = engine.plan(method, k, 0).drafter
        rows = engine.draft(prompt, task(ahead, k), Meter(), drafter).rows
        assert_greedy(model, prompt, rows[0])


@pytest.mark.parametrize("method", ["greedy-ahead", "led-beam"])
@settings(max_examples=40, deadline=None)
@given(prompt=prompts, seed=st.integers(0, 5), guessing=st.integers(0, 99), k=st.integers(1, 4))
def test_a_guesser_that_means_harm_changes_nothing(method, prompt, seed, guessing, k):
    model = ToyModel(seed=seed)
    ahead = Ahead(Random(guessing))
    rows = Engine(model, DRAFTERS[method]).draft(prompt, task(ahead, k), Meter()).rows
    assert_greedy(model, prompt, rows[0])


def test_settings_know_every_guesser() -> None:
    assert NAMES == GUESSERS
    with pytest.raises(KeyError):
        Guessers(ToyModel()).ahead("luck", [1])


def test_what_is_guessed_right_saves_passes_and_is_heard_of() -> None:
    model, prompt = ToyModel(seed=3), [3, 4]
    draft = naive_greedy(model, prompt, frozenset(), 12)
    oracle = Oracle(draft, wrong=3)
    asked = replace(task(Ahead(oracle)), ends=Ends(frozenset(), 12))
    (row,) = Engine(model, DRAFTERS["greedy-ahead"]).draft(prompt, asked, Meter()).rows
    assert row.ids == draft and draft[3] != 5
    assert model.passes == 3  # the prompt; to token 3, where the guess is wrong; to the end
    fed, said = oracle.heard[0]
    assert list(fed) == [*draft[:3], 5, *draft[4:8]]  # what is behind a wrong guess was fed as well
    assert [choice.tokens[0] for choice in said[:3]] == draft[1:4]


def test_no_more_is_guessed_than_a_draft_may_hold() -> None:
    model, prompt = ToyModel(seed=3), [3, 4]
    oracle = Oracle(naive_greedy(model, prompt, frozenset(), 40))
    asked = replace(task(Ahead(oracle)), ends=Ends(frozenset(), 4))
    Engine(model, DRAFTERS["greedy-ahead"]).draft(prompt, asked, Meter())
    assert [len(fed) for fed, _ in oracle.heard] == [3]


@pytest.mark.parametrize(
    ("costs", "beside", "confidence", "length"),
    [
        (None, 0, 0.1, 7),  # unknown costs: guesses are free
        (FREE, 0, 0.1, 7),
        (DEAR, 0, 1.0, 0),
        (PassCosts({1: 10.0, 8: 10.0, 16: 50.0}), 0, 0.5, 7),
        (PassCosts({1: 10.0, 8: 10.0, 16: 50.0}), 6, 0.5, 1),  # other rows fill the pass
    ],
)
def test_guesses_are_as_long_as_passes_are_cheap(costs, beside, confidence, length) -> None:
    class Sure(Nothing):
        def propose(self, tree: DraftTree, row: Row) -> Proposals:
            while True:
                yield Proposal(1, "any", confidence)

    model = ToyModel()
    tree, row = DraftTree(model, model.new_cache(), Meter()), Row("greedy", [1])
    assert len(Ahead(Sure(), costs=costs).guess(tree, row, 7, beside).tokens) == length


@dataclass
class Priced(Nothing):
    """Each proposal costs; counts them."""

    step_ms: float = 3.0
    confidence: float = 0.9
    proposed: int = 0
    name = "priced"

    def propose(self, tree: DraftTree, row: Row) -> Proposals:
        while True:
            self.proposed += 1
            yield Proposal(1, "priced", self.confidence)


@pytest.mark.parametrize(
    ("guesser", "usual", "proposed"),
    [
        (Priced(), 0.9, 5),  # what pays on average
        (Priced(step_ms=9.0), 0.8, 0),
        (Priced(confidence=0.6), 0.9, 2),  # stops when all of them hold with less than 0.4
        (Priced(), 0.3, 0),
    ],
)
def test_steps_are_spent_on_guesses_while_they_probably_pay(guesser, usual, proposed) -> None:
    model = ToyModel()
    tree, row = DraftTree(model, model.new_cache(), Meter()), Row("greedy", [1])
    Ahead(guesser, Acceptance({"priced": usual}), FREE).guess(tree, row, 7)
    assert guesser.proposed == proposed


def test_what_did_not_pay_is_tried_again_now_and_then() -> None:
    model = ToyModel()
    tree, row = DraftTree(model, model.new_cache(), Meter()), Row("greedy", [1])
    ahead = Ahead(Priced(), Acceptance({"priced": 0.1}), FREE)
    lengths = [len(ahead.guess(tree, row, 7).tokens) for _ in range(64)]
    assert sum(lengths) == 2


def test_acceptance_is_an_exponential_mean_of_what_is_known() -> None:
    acceptance = Acceptance({"a": 0.8})
    assert acceptance.of("a") == 0.8 and acceptance.of("new") == 0.5
    acceptance.hear(["a", "b", "c"], 1)  # right, wrong, unknown
    assert acceptance.of("a") == pytest.approx(0.8 + 0.2 / 5)
    assert acceptance.of("b") == pytest.approx(0.5 - 0.5 / 5)
    assert acceptance.of("c") == 0.5
    for _ in range(400):
        acceptance.hear(["a"], 0)
    assert acceptance.of("a") < 0.01


@pytest.mark.parametrize(
    ("guess", "best", "right"),
    [([], [4], 0), ([4], [4, 5], 1), ([4, 6], [4, 5, 7], 1), ([3, 5], [4, 5, 7], 0)],
)
def test_kept_guesses(guess, best, right):
    assert kept(guess, [Choice((token,), (0.0,)) for token in best]) == right


def test_a_guess_can_be_cut() -> None:
    guess = Guess((1, 2, 3), ("a", "b", "c"))
    assert guess.first(2) == Guess((1, 2), ("a", "b")) and guess.first(9) == guess


class TestLayerSkip:
    def test_its_slots_are_gone_when_it_is_asked_no_more(self) -> None:
        model = SkippingToy()
        cache = model.new_cache()
        model.forward(cache, Feed(None, torch.tensor([3, 4]), torch.arange(2), None))
        tree, row = DraftTree(model, cache, Meter()), Row("greedy", [5])
        proposals = LayerSkip(frozenset({1}), 1.0).propose(tree, row)
        assert 0 < next(proposals).confidence <= 1
        next(proposals)
        assert tree.next_slot == 4
        proposals.close()
        assert tree.next_slot == 2 and tree.passes == 0

    def test_it_guesses_what_the_shortened_model_says(self) -> None:
        model = SkippingToy(seed=1)
        cache = model.new_cache()
        model.forward(cache, Feed(None, torch.tensor([3, 4]), torch.arange(2), None))
        tree, row = DraftTree(model, cache, Meter()), Row("greedy", [5])
        (proposal, *_) = (next(LayerSkip(frozenset({3, 5}), 1.0).propose(tree, row)),)
        other = model.new_cache()
        model.forward(other, Feed(None, torch.tensor([3, 4]), torch.arange(2), None))
        feed = Feed(None, torch.tensor([5]), torch.tensor([2]), None, skip=frozenset({3, 5}))
        p = model.forward(other, feed)[0].softmax(-1)
        assert proposal.token == int(p.argmax())
        assert proposal.confidence == pytest.approx(float(p.max()), abs=1e-5)

    def test_a_cancel_ends_it_before_the_next_step(self) -> None:
        model, cancel = SkippingToy(), CancelToken()
        tree = DraftTree(model, model.new_cache(), Meter(cancel))
        proposals = LayerSkip(frozenset({1}), 1.0).propose(tree, Row("greedy", [5]))
        next(proposals)
        cancel.cancel()
        with pytest.raises(Cancelled):
            next(proposals)
        assert tree.next_slot == 0

    def test_a_model_that_can_leave_nothing_out_gets_no_guesses(self) -> None:
        model = ToyModel()
        tree = DraftTree(model, model.new_cache(), Meter())
        ahead = Guessers(model).ahead("layer-skip", [1])
        assert sublayers_of(model) == 0
        assert ahead.guess(tree, Row("greedy", [5]), 7) == Guess()


@pytest.mark.parametrize(
    ("sublayers", "share", "skipped"),
    [(0, 0.4, []), (4, 0.4, []), (12, 0.4, [3, 7]), (12, 1.0, [3, 5, 7, 9]), (48, 0.0, [])],
)
def test_spread_leaves_out_mlps_between_the_edges(sublayers, share, skipped):
    assert spread(sublayers, share) == frozenset(skipped)


def test_most_spared_adds_what_costs_the_least_match() -> None:
    """Two sublayers that are bad to leave out together: the second best single one is not taken."""
    loss = {1: 0.0, 3: 0.1, 5: 0.2, 7: 0.5}

    def match(skip: frozenset[int]) -> float:
        return 1 - sum(loss[each] for each in skip) - 0.4 * ({1, 3} <= skip)

    assert most_spared(loss, 2, match) == {1, 5}
    assert most_spared(loss, 2, match, frozenset({7})) == {1, 7}
