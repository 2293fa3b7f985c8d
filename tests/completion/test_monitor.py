"""Masks together and drafts under a monitor, against naive references."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polydraft.completion.monitor import (
    FREE,
    Constraint,
    Evidence,
    Joint,
    Likely,
    Mask,
    State,
    constrained,
)
from polydraft.completion.watch import Watch

VOCABULARY = 12


@dataclass(frozen=True)
class Sums:
    """Allows what is not congruent to the sum of all tokens so far."""

    modulus: int
    penalty: float = math.inf
    late: set[int] = field(default_factory=set)  # sums about which nothing is known yet
    name: str = "sums"

    def begin(self) -> State:
        return 0

    def observe(self, state: State, token: int) -> State:
        assert isinstance(state, int)
        return state + token

    def foresee(self, state: State) -> None:
        pass

    def allowed(self, state: int) -> list[int]:
        return [t for t in range(VOCABULARY) if t % self.modulus != state % self.modulus]

    def constrain(self, state: State, likely: Likely | None = None) -> Constraint:
        assert isinstance(state, int)
        if state in self.late:
            return Constraint(late=True)
        if state % 3 == 0:
            return FREE
        mask = Mask(
            torch.tensor(self.allowed(state)), self.penalty, evidence=Evidence(monitor=self.name)
        )
        return Constraint((mask,))


drafts = st.lists(st.lists(st.integers(0, 11), max_size=5), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(drafts)
def test_drafts_that_fork_and_roll_back_are_constrained_as_a_fresh_monitor_says(texts):
    monitor = Joint((Sums(2), Sums(5)))
    watch = Watch(monitor)
    logits = torch.randn(len(texts), VOCABULARY, generator=torch.Generator().manual_seed(1))
    found = watch.constrain(texts, logits)  # any order: forks, then shorter ones again
    for text, before, after in zip(texts, logits, found, strict=True):
        total = sum(text)
        allowed = set(range(VOCABULARY))
        if total % 3:
            allowed = set(Sums(2).allowed(total)) & set(Sums(5).allowed(total))
        for token in range(VOCABULARY):
            assert after[token] == (before[token] if token in allowed else -math.inf)


masks = st.tuples(st.sets(st.integers(0, 11)), st.sampled_from([math.inf, 1.5, 4.0]), st.booleans())


@settings(max_examples=300, deadline=None)
@given(st.lists(masks, max_size=4), st.integers(0, 50))
def test_masks_together_are_an_intersection(given_masks, seed):
    logits = torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(seed))
    found = constrained(
        logits,
        [
            Mask(torch.tensor(sorted(ids), dtype=torch.long), penalty, banned)
            for ids, penalty, banned in given_masks
        ],
    )

    def loses(token, ids, banned):
        return (token in ids) == banned

    hard = [(ids, banned) for ids, penalty, banned in given_masks if penalty == math.inf]
    possible = {
        t for t in range(VOCABULARY) if not any(loses(t, ids, banned) for ids, banned in hard)
    }
    possible = possible or set(range(VOCABULARY))  # contradicting monitors bind nobody
    soft = [(ids, penalty, banned) for ids, penalty, banned in given_masks if penalty != math.inf]
    left = {
        token: float(logits[token]) - sum(p for ids, p, b in soft if loses(token, ids, b))
        for token in possible
    }
    best = max(left, key=left.__getitem__)
    assert int(found.argmax()) == best
    for token in range(VOCABULARY):
        # What is dear is the best even so, or it is out.
        out = any(loses(token, ids, b) and not loses(best, ids, b) for ids, _, b in soft)
        if token not in possible or out:
            assert found[token] == -math.inf
        else:
            assert float(found[token]) == pytest.approx(left[token], abs=1e-4)


def test_no_mask_changes_nothing():
    logits = torch.randn(3, VOCABULARY)
    assert constrained(logits[0], []) is not None
    assert Watch().constrain([(), (1,), (2,)], logits) is logits
    assert Watch(Sums(2)).constrain([(), (3,), (6,)], logits) is logits  # free in these states


def test_what_was_changed_along_a_draft_is_known_with_its_reason():
    watch = Watch(Sums(2))
    logits = torch.zeros(1, VOCABULARY)
    logits[0, 4], logits[0, 7] = 3.0, 2.0
    watch.constrain([(2, 2)], logits)  # the sum is even: so is the best token, which is banned
    ((at, change),) = watch.changes([2, 2, 7])
    assert (at, change.wanted, change.taken, change.evidence.monitor) == (2, 4, 7, "sums")
    assert watch.changes([2, 3, 7]) == []


def test_a_late_answer_finds_the_first_token_that_it_rules_out():
    monitor = Sums(2, late={4, 8})
    watch = Watch(monitor)
    logits = torch.randn(1, VOCABULARY)
    for prefix in [(), (4,), (4, 4)]:
        assert watch.constrain([prefix], logits) is logits
    assert watch.first_false([4, 4, 1]) is None  # nothing is known yet
    monitor.late.clear()
    assert watch.first_false([4, 3]) is None  # odd behind an even sum
    assert watch.first_false([4, 4, 1]) == 1
