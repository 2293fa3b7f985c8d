"""What a monitor would have made of the truth: where its masks lose it, and on what evidence."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from polydraft.completion.monitor import Evidence, Likely, Monitor, constrained

_ROUND_S = 0.05


@dataclass(frozen=True, slots=True)
class Loss:
    """The truth's token `at` (from 0) loses `penalty` nats; a hard mask excludes it."""

    at: int
    token: int
    penalty: float
    evidence: Evidence

    @property
    def hard(self) -> bool:
        return self.penalty == float("inf")

    def record(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "token": self.token,
            "hard": self.hard,
            "penalty": None if self.hard else self.penalty,
            **asdict(self.evidence),
        }


_SURE = 64.0  # nats that the model, which knows the truth, gives it above all others


@dataclass(frozen=True, slots=True)
class Walk:
    losses: tuple[Loss, ...]
    constrained: int  # tokens that a mask stood before
    late: int  # answers that had to be asked for again

    @property
    def excluded(self) -> bool:
        return any(loss.hard for loss in self.losses)


def walk(monitor: Monitor, ids: Sequence[int], size: int, patience: float = 5.0) -> Walk:
    """Lead a monitor along the truth's tokens, of a vocabulary of `size`.

    An answer that is late is asked for again for `patience` seconds: it would take a draft back,
    so what it excludes is excluded. Behind a loss the walk goes on.
    """
    losses = []
    masked = late = 0
    state = monitor.begin()
    for at, token in enumerate(ids):
        monitor.foresee(state)
        found = monitor.constrain(state, _only(token))
        end = time.monotonic() + patience
        late += found.late
        while found.late and time.monotonic() < end:
            time.sleep(_ROUND_S)
            found = monitor.constrain(state, _only(token))
        masked += bool(found.masks)
        logits = torch.zeros(size)
        logits[token] = _SURE  # what only loses is the best even so
        lost = _SURE - float(constrained(logits, found.masks)[token])
        if lost > 0:
            losers = [mask for mask in found.masks if mask.loses(token)]
            cause = max(losers, key=lambda mask: mask.penalty)
            losses.append(Loss(at, token, lost, cause.evidence))
        state = monitor.observe(state, token)
    return Walk(tuple(losses), masked, late)


def _only(token: int) -> Likely:
    return lambda: (token,)
