"""Tracks of a monitor and masks together, against naive references."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polydraft.completion.monitor import Joint, Mask, State, Track, constrain

VOCABULARY = 12


@dataclass(frozen=True)
class Sums:
    """Allows what is not congruent to the sum of all tokens so far."""

    modulus: int
    penalty: float = math.inf
    name: str = "sums"

    def begin(self) -> State:
        return 0

    def observe(self, state: State, token: int) -> State:
        assert isinstance(state, int)
        return state + token

    def mask(self, state: State) -> Mask | None:
        assert isinstance(state, int)
        if state % 3 == 0:
            return None
        allowed = [t for t in range(VOCABULARY) if t % self.modulus != state % self.modulus]
        return Mask(torch.tensor(allowed), self.penalty)


moves = st.lists(
    st.tuples(st.just("observe"), st.lists(st.integers(0, 11), max_size=4))
    | st.tuples(st.just("crop"), st.integers(0, 6))
    | st.tuples(st.just("fork"), st.integers(0, 3)),
    max_size=20,
)


@settings(max_examples=200, deadline=None)
@given(moves)
def test_forks_and_rollbacks_leave_a_monitor_as_a_fresh_one(moves):
    monitor = Joint((Sums(2), Sums(5)))
    tracks, texts = [Track(monitor)], [[]]
    at = 0
    for kind, value in moves:
        if kind == "observe":
            tracks[at].observe(value)
            texts[at] = texts[at] + value
        elif kind == "crop":
            length = min(value, len(texts[at]))
            tracks[at].crop(length)
            texts[at] = texts[at][:length]
        else:
            tracks.append(tracks[at].fork())
            texts.append(texts[at])
            at = value % len(tracks)
    for track, text in zip(tracks, texts, strict=True):
        fresh = Track(monitor)
        fresh.observe(text)
        assert len(track) == len(text)
        assert track.state == fresh.state


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 11)), st.sampled_from([math.inf, 1.5, 4.0])), max_size=4
    ),
    st.integers(0, 50),
)
def test_masks_together_are_an_intersection(given_masks, seed):
    logits = torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(seed))
    masks = [
        Mask(torch.tensor(sorted(ids), dtype=torch.long), penalty) for ids, penalty in given_masks
    ]
    hard = [ids for ids, penalty in given_masks if penalty == math.inf]
    possible = {t for t in range(VOCABULARY) if all(t in ids for ids in hard)}
    found = constrain(logits, masks)
    for token in range(VOCABULARY):
        lost = sum(p for ids, p in given_masks if p != math.inf and token not in ids)
        if possible and token not in possible:
            assert found[token] == -math.inf
        else:  # contradicting monitors bind nobody
            torch.testing.assert_close(found[token], logits[token] - lost)


def test_no_mask_changes_nothing():
    logits = torch.randn(VOCABULARY)
    assert constrain(logits, []) is logits
