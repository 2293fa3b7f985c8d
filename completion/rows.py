"""Exact draft rows: greedy continuation of any number of branches in lockstep.

Glossary: a *row* is a draft in progress; its last token is *pending* (chosen, not yet fed); an
*alternative* at depth d is a token that the exact model would also have taken there, with its
log-probability (nats).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from polydraft.completion.tree import DraftTree
from polydraft.completion.types import Finish

ALTERNATIVES = 6  # kept a depth; forks come from them

EndRule = Callable[[Sequence[int]], Finish | None]


@dataclass(frozen=True, slots=True)
class Ends:
    """When a draft is over: a stop token, the text's own end (`rule`), or the token limit."""

    stops: frozenset[int]
    max_tokens: int
    rule: EndRule = lambda ids: None

    def of(self, ids: Sequence[int]) -> Finish | None:
        """Why a draft of these tokens is over, or None."""
        found = self.rule(ids)
        if found is None and len(ids) >= self.max_tokens:
            return Finish.LENGTH
        return found


@dataclass(frozen=True, slots=True)
class Choice:
    """The exact model's most probable next tokens at one depth, best first."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]


def choices(logits: torch.Tensor, count: int = ALTERNATIVES) -> list[Choice]:
    """logits [R, V] -> for each row its `count` most probable next tokens."""
    best = logits.topk(min(count, logits.shape[-1]), -1)
    logprobs = best.values - torch.logsumexp(logits, -1, keepdim=True)
    found = []
    for values, tokens in zip(logprobs.tolist(), best.indices.tolist(), strict=True):
        possible = sum(value > -math.inf for value in values)  # banned tokens stand last
        found.append(Choice(tuple(tokens[:possible]), tuple(values[:possible])))
    return found


@dataclass(slots=True)
class Row:
    """A draft in progress. `ids[i]` was chosen from `seen[i]`; `slots` holds those already fed."""

    drafter: str
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    seen: list[Choice] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    finish: Finish | None = None
    stop_token: int | None = None  # the token that ended it, which is not among the ids
    exact: bool = True  # whether the log-probabilities are the exact model's

    @property
    def mean_logprob(self) -> float:
        return sum(self.logprobs) / max(len(self.logprobs), 1)

    def take(self, token: int, logprob: float, choice: Choice, ends: Ends) -> None:
        """Append a token, unless it ends the draft."""
        self.seen.append(choice)
        if token in ends.stops:
            self.finish, self.stop_token = Finish.STOP_TOKEN, token
            return
        self.ids.append(token)
        self.logprobs.append(logprob)
        self.finish = ends.of(self.ids)

    def take_best(self, choice: Choice, ends: Ends) -> None:
        self.take(choice.tokens[0], choice.logprobs[0], choice, ends)

    def fork(self, depth: int, token: int, logprob: float, ends: Ends, drafter: str) -> Row:
        """A new row that shares the first `depth` tokens and takes `token` there."""
        row = Row(
            drafter,
            self.ids[:depth],
            self.logprobs[:depth],
            self.seen[:depth],
            self.slots[:depth],
        )
        row.take(token, logprob, self.seen[depth], ends)
        return row


def step(tree: DraftTree, rows: Sequence[Row], ends: Ends) -> None:
    """One pass: feed each unfinished row's pending token and take its most probable next one."""
    alive = [row for row in rows if row.finish is None]
    if not alive:
        return
    first = tree.next_slot
    pending = torch.tensor([row.ids[-1] for row in alive])
    logits = tree.feed(pending, [row.slots for row in alive])
    for i, (row, choice) in enumerate(zip(alive, choices(logits), strict=True)):
        row.slots.append(first + i)
        row.take_best(choice, ends)
