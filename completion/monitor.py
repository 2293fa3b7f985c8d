"""Monitors: static analysis as constraints on the next token (Agrawal et al., arXiv 2306.10763).

A monitor is a state machine over one draft's tokens. Its states are immutable values: a fork of a
draft shares the state, a rollback goes back to an earlier one, and k drafts in different states
need k values and nothing else.

Glossary
    state     what a monitor knows of a draft so far
    mask      the tokens that fit what is known, and what the others lose
    hard      a mask whose other tokens are impossible; else they lose some log-probability, so that
              a confident model can still write a name that the analysis does not know
    late      what the analysis says is not known yet: the draft goes on, and is looked at again
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from polydraft.completion.protocols import Tokenizer
from polydraft.completion.types import Draft, Request

State = Hashable
Likely = Callable[[], Sequence[int]]  # the tokens that the model would take


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a mask comes from, for people."""

    monitor: str = ""
    analyser: str = ""
    grade: str = ""  # how much the analyser's list is worth
    names: int = 0  # that were offered


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """`tokens`: int64 [n] ids. The tokens outside of them, or they if `banned`, lose `penalty`."""

    tokens: torch.Tensor
    penalty: float = math.inf  # nats
    banned: bool = False
    evidence: Evidence = Evidence()

    @property
    def hard(self) -> bool:
        return self.penalty == math.inf

    def loses(self, token: int) -> bool:
        return bool((self.tokens == token).any()) == self.banned

    def applied(self, logits: torch.Tensor) -> torch.Tensor:
        """logits [V] -> [V] with the penalty taken off."""
        if self.banned:
            result = logits.clone()
            result[self.tokens] -= self.penalty
        else:
            result = logits - self.penalty
            result[self.tokens] = logits[self.tokens]
        return result


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a monitor says in a state: every mask holds; `late`: there may be more to say."""

    masks: tuple[Mask, ...] = ()
    late: bool = False


FREE = Constraint()  # anything may come


def together(found: Sequence[Constraint]) -> Constraint:
    """What several say in a state: all of it holds."""
    masks = tuple(mask for each in found for mask in each.masks)
    return Constraint(masks, any(each.late for each in found))


class Monitor(Protocol):
    """One kind of constraint; implementations stand in `polydraft.monitors`.

    A pair of models on two devices calls it from two threads at once.
    """

    @property
    def name(self) -> str: ...

    def begin(self) -> State:
        """The state of a draft without tokens."""

    def observe(self, state: State, token: int) -> State:
        """The state behind one more token."""

    def foresee(self, state: State) -> None:
        """A pass runs whose answer will be constrained in this state: time to begin an analysis."""

    def constrain(self, state: State, likely: Likely) -> Constraint:
        """What may come next. Waits for an analysis as long as that pays, then says so.

        What bears on none of the `likely` tokens need not be waited for.
        """


class Monitoring(Protocol):
    """Makes the monitor of a request."""

    def monitor(
        self, request: Request, tokenizer: Tokenizer, held_back: str, poll: Callable[[], None]
    ) -> Monitor | None:
        """None: there is nothing to watch. `held_back` is what of the prefix the draft will write
        again (`healing.py`); `poll` raises when it is time to stop, also in the middle of a wait.
        """

    def glance(self, request: Request, draft: Draft) -> None:
        """A draft is finished while others are in work: time to begin what `judge` will ask."""

    def is_sound(self, request: Request, draft: Draft) -> bool:
        """Whether a draft may be shown before the others, as far as can be told at once."""

    def judge(
        self, request: Request, drafts: Sequence[Draft], poll: Callable[[], None]
    ) -> tuple[Draft, ...]:
        """Finished drafts, those with errors that others do not have behind them."""


@dataclass(frozen=True, slots=True)
class Joint:
    """Several monitors at once: a token has to pass all of them."""

    monitors: tuple[Monitor, ...]
    name: str = "joint"

    def begin(self) -> State:
        return tuple(monitor.begin() for monitor in self.monitors)

    def observe(self, state: State, token: int) -> State:
        return tuple(monitor.observe(each, token) for monitor, each in self._each(state))

    def foresee(self, state: State) -> None:
        for monitor, each in self._each(state):
            monitor.foresee(each)

    def constrain(self, state: State, likely: Likely) -> Constraint:
        return together([monitor.constrain(each, likely) for monitor, each in self._each(state)])

    def _each(self, state: State) -> zip[tuple[Monitor, State]]:
        assert isinstance(state, tuple)
        return zip(self.monitors, state, strict=True)


def best_of(logits: torch.Tensor) -> int:
    """The index of the largest of [V]; numpy finds it many times faster than `torch.argmax`."""
    return int(logits.float().numpy(force=True).argmax())


def constrained(logits: torch.Tensor, masks: Sequence[Mask]) -> torch.Tensor:
    """logits [V] -> [V] under all of the masks, by intersection.

    What a mask makes dear is either the best even so, or impossible: it is no alternative to what
    the mask lets pass, with which other drafts may begin.

    If the hard ones leave nothing possible, they contradict each other and none of them holds: a
    draft goes on in any case.
    """
    soft = [mask for mask in masks if not mask.hard]
    dear = logits
    for mask in soft:
        dear = mask.applied(dear)
    left = dear
    for mask in masks:
        if mask.hard:
            left = mask.applied(left)
    if left is not dear and float(left.amax()) == -math.inf:
        left = dear
    best = best_of(left) if soft else -1
    for mask in soft:
        if not mask.loses(best):
            left = replace(mask, penalty=math.inf).applied(left)
    return left
