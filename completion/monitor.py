"""Monitors: static analysis as constraints on the next token (Agrawal et al., arXiv 2306.10763).

A monitor is a state machine over one draft's tokens. Its states are immutable values: a fork of a
draft shares the state, a rollback goes back to an earlier one, and k drafts in different states
need k values and nothing else.

Glossary
    state     what a monitor knows of a draft so far
    mask      the tokens that fit what is known, and what the others lose
    hard      a mask whose other tokens are impossible; else they lose some log-probability, so that
              a confident model can still write a name that the analysis does not know
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

State = Hashable


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """`allowed`: int64 [n] token ids, ascending; every other token loses `penalty` nats."""

    allowed: torch.Tensor
    penalty: float = math.inf

    @property
    def hard(self) -> bool:
        return self.penalty == math.inf


class Monitor(Protocol):
    """One kind of constraint; implementations stand in `polydraft.monitors`."""

    @property
    def name(self) -> str: ...

    def begin(self) -> State:
        """The state of a draft without tokens."""

    def observe(self, state: State, token: int) -> State:
        """The state behind one more token."""

    def mask(self, state: State) -> Mask | None:
        """What may come next; None: anything."""


class Track:
    """One draft's way through a monitor."""

    def __init__(self, monitor: Monitor, states: Sequence[State] = ()) -> None:
        self._monitor = monitor
        self._states = list(states) or [monitor.begin()]

    def __len__(self) -> int:
        """Tokens observed."""
        return len(self._states) - 1

    @property
    def state(self) -> State:
        return self._states[-1]

    def observe(self, tokens: Sequence[int]) -> State:
        for token in tokens:
            self._states.append(self._monitor.observe(self._states[-1], token))
        return self._states[-1]

    def mask(self) -> Mask | None:
        return self._monitor.mask(self._states[-1])

    def fork(self) -> Track:
        return Track(self._monitor, self._states)

    def crop(self, length: int) -> None:
        """Forget all tokens from `length` on."""
        assert 0 <= length <= len(self)
        del self._states[length + 1 :]


@dataclass(frozen=True, slots=True)
class Joint:
    """Several monitors at once: a token has to pass all of them."""

    monitors: tuple[Monitor, ...]
    name: str = "joint"

    def begin(self) -> State:
        return tuple(monitor.begin() for monitor in self.monitors)

    def observe(self, state: State, token: int) -> State:
        assert isinstance(state, tuple)
        return tuple(
            monitor.observe(each, token) for monitor, each in zip(self.monitors, state, strict=True)
        )

    def masks(self, state: State) -> list[Mask]:
        assert isinstance(state, tuple)
        found = (monitor.mask(each) for monitor, each in zip(self.monitors, state, strict=True))
        return [mask for mask in found if mask is not None]


def constrain(logits: torch.Tensor, masks: Sequence[Mask]) -> torch.Tensor:
    """logits [V] -> [V] under all of the masks, by intersection.

    What a soft mask does not list loses its penalty, what a hard one does not list is impossible.
    If the hard ones leave nothing possible, they contradict each other and none of them holds: a
    draft goes on in any case.
    """
    if not masks:
        return logits
    possible = torch.ones_like(logits, dtype=torch.bool)
    lost = torch.zeros_like(logits)
    for mask in masks:
        outside = torch.ones_like(logits, dtype=torch.bool)
        outside[mask.allowed] = False
        if mask.hard:
            possible &= ~outside
        else:
            lost += outside * mask.penalty
    result = logits - lost
    banned = result.masked_fill(~possible, -math.inf)
    return banned if bool((banned > -math.inf).any()) else result
