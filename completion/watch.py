"""One request's drafts under a monitor: what it says behind each prefix, and what that changed.

A prefix is a tuple of a draft's token ids, `()` the prompt itself. A state is a function of its
prefix, so drafts that fork or are rolled back need no bookkeeping, and both models of a pair are
constrained alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from polydraft.completion.monitor import (
    Evidence,
    Likely,
    Mask,
    Monitor,
    State,
    best_of,
    constrained,
)

Prefix = tuple[int, ...]

LIKELY = 3.0  # nats below the best: one twentieth of its probability


@dataclass(frozen=True, slots=True)
class Change:
    """The model's best next token was not to be had: `taken` is the best that was."""

    evidence: Evidence
    wanted: int
    taken: int


class Watch:
    """Without a monitor, everything may come."""

    def __init__(self, monitor: Monitor | None = None) -> None:
        self._monitor = monitor
        self._states: dict[Prefix, State] = {} if monitor is None else {(): monitor.begin()}
        self._changes: dict[Prefix, Change] = {}
        self._late: set[Prefix] = set()

    def foresee(self, prefixes: Iterable[Sequence[int]]) -> None:
        """A pass begins that will say what comes behind these."""
        if self._monitor is not None:
            for ids in prefixes:
                self._monitor.foresee(self._state(tuple(ids)))

    def constrain(self, prefixes: Sequence[Sequence[int]], logits: torch.Tensor) -> torch.Tensor:
        """logits [R, V] behind R prefixes -> the same with what may not come taken out."""
        if self._monitor is None:
            return logits
        given = list(logits)
        rows = [self._row(tuple(ids), row) for ids, row in zip(prefixes, given, strict=True)]
        changed = any(new is not old for new, old in zip(rows, given, strict=True))
        return torch.stack(rows) if changed else logits

    def changes(self, ids: Sequence[int]) -> list[tuple[int, Change]]:
        """What was changed along a draft, each with the token's place in it."""
        found = ((at, self._changes.get((*ids[:at],))) for at in range(len(ids) + 1))
        return [(at, change) for at, change in found if change is not None]

    def first_false(self, ids: Sequence[int]) -> int | None:
        """The first token of a draft that an answer which came late rules out."""
        if self._monitor is None:
            return None
        for at, token in enumerate(ids):
            prefix = (*ids[:at],)
            if prefix in self._late:
                found = self._monitor.constrain(self._state(prefix), _only(token))
                if any(_rules_out(mask, token) for mask in found.masks):
                    return at
        return None

    def _row(self, prefix: Prefix, logits: torch.Tensor) -> torch.Tensor:
        assert self._monitor is not None
        found = self._monitor.constrain(self._state(prefix), cache(lambda: _likely(logits)))
        if found.late:
            self._late.add(prefix)
        if not found.masks:
            return logits
        result = constrained(logits, found.masks)
        wanted = best_of(logits)
        causes = [mask for mask in found.masks if mask.loses(wanted)]
        if causes and (taken := best_of(result)) != wanted:
            cause = max(causes, key=lambda mask: mask.penalty)
            self._changes[prefix] = Change(cause.evidence, wanted, taken)
        return result

    def _state(self, prefix: Prefix) -> State:
        assert self._monitor is not None
        known = len(prefix)
        while prefix[:known] not in self._states:
            known -= 1
        state = self._states[prefix[:known]]
        for end in range(known, len(prefix)):
            state = self._monitor.observe(state, prefix[end])
            self._states[prefix[: end + 1]] = state
        return state


def _likely(logits: torch.Tensor) -> list[int]:
    values = logits.float().numpy(force=True)
    return np.flatnonzero(values > values.max() - LIKELY).tolist()


def _only(token: int) -> Likely:
    return lambda: (token,)


def _rules_out(mask: Mask, token: int) -> bool:
    return mask.hard and mask.loses(token)
