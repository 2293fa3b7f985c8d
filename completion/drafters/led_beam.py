"""A beam that the greedy row leads: it is never dropped, comes first, and sets the pace.

Beam search finds the alternatives that are probable as a whole, but its first draft comes late and
its search goes on long after. Here the greedy row leads; it runs ahead through guesses that are
checked in the same pass (`guessers/`), so that it ends no later than it would alone. Beside it
run the most probable other prefixes (sums of exact log-probabilities), chosen anew after every pass
as in a beam. When the leader has ended, they go on greedily, with guesses of their own, until the
draft has taken `patience` times the passes that the greedy one takes alone (what its guesses saved
goes to them); what has not ended by then is shown as far as it came: a beginning that the user may
take by the word.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch

from polydraft.completion.drafters.forks import refill
from polydraft.completion.drafters.run import (
    announce,
    distinct,
    greedy_first,
    out_of_time,
    step_and_learn,
)
from polydraft.completion.drafters.task import Task
from polydraft.completion.guessers.guesser import Guess
from polydraft.completion.meter import OutOfTime
from polydraft.completion.rows import Choice, Ends, Row, accept, choices, look
from polydraft.completion.tree import DraftTree
from polydraft.completion.types import Finish

LEAST_PASSES = 1  # that the others get, however short the greedy draft is


@dataclass(frozen=True, slots=True)
class LedBeam:
    """`width` rows run in a pass (None: k), guesses not counted: at most `guesses` for a row.

    `patience` is in passes of the greedy draft alone, one a token.
    """

    name: str = "led-beam"
    width: int | None = None
    patience: float = 1.3
    guesses: int = 2

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        search = _Search(task, min(self.width or task.k, task.k) - 1)
        leader = search.leader
        try:
            search.begin(choices(logits[None], search.count)[0])
            taken = 0
            while leader.finish is None:
                taken += 1
                guess = task.ahead.guess(tree, leader, self.guesses, len(search.others))
                guesses = [guess, *(Guess() for _ in search.others)]
                rows = [leader, *search.others]
                seen = look(tree, rows, [each.tokens for each in guesses], search.count, task.watch)
                for row, each, choices_ in zip(rows, guesses, seen, strict=True):
                    task.ahead.learn(row.ids[-1], each, [choice for _, choice in choices_])
                search.extend(guess.tokens, seen)
            passes = max(LEAST_PASSES, math.ceil(self.patience * len(leader.ids)) - taken)
            while passes and search.others and len(distinct(search.ended, task.key)) < task.k:
                step_and_learn(tree, search.others, task, self._tails(tree, search))
                search.sort_out()
                passes -= 1
            for row in search.others:
                row.finish = Finish.CUT
            announce(search.others, task)
        except OutOfTime:
            out_of_time([leader, *search.others])
        ended, cut = (
            sorted(rows, key=lambda row: -row.mean_logprob)
            for rows in (search.ended, search.others)
        )
        rows = [leader, *ended, *cut]
        found = distinct(rows, task.key)[: task.k]
        if 2 * len(found) < task.k:  # most read alike, or show nothing
            found = refill(tree, rows, task)[: task.k]
        return greedy_first(found)

    def _tails(self, tree: DraftTree, search: _Search) -> list[Guess]:
        """Guesses for the rows left, with no more tokens in a pass than while the leader ran."""
        spare = search.width + 1 + self.guesses - len(search.others)
        tails: list[Guess] = []
        for row in search.others:
            tail = self._guess(tree, row, search.leader.ids, search.task).first(spare)
            spare -= len(tail.tokens)
            tails.append(tail)
        return tails

    def _guess(self, tree: DraftTree, row: Row, leader: Sequence[int], task: Task) -> Guess:
        """A row's next tokens: the leader's behind the same token, or what is guessed."""
        for at in range(len(leader) - 2, -1, -1):
            if leader[at] == row.ids[-1]:
                return Guess(tuple(leader[at + 1 : at + 1 + self.guesses]))
        return task.ahead.guess(tree, row, self.guesses)


@dataclass(slots=True)
class _Search:
    """The leader, the `others` that run beside it (at most `width`), and those that have ended."""

    task: Task
    width: int
    leader: Row = field(default_factory=lambda: Row("greedy"))
    others: list[Row] = field(default_factory=list)
    ended: list[Row] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Tokens to look at behind a prefix."""
        return 2 * self.task.k

    def begin(self, choice: Choice) -> None:
        """Take what the exact model says behind the prompt."""
        self.leader.take_best(choice, self.task.ends)
        announce([self.leader], self.task)
        self._choose(self._beside_the_leader(0))

    def extend(self, guess: Sequence[int], seen: Sequence[Sequence[tuple[int, Choice]]]) -> None:
        """Take what it says behind the leader, behind its guess, and behind each other row."""
        depth = len(self.leader.ids)
        accept(self.leader, guess, seen[0], self.task.ends)
        announce([self.leader], self.task)
        candidates = self._beside_the_leader(depth)
        for row, ((slot, choice),) in zip(self.others, seen[1:], strict=True):
            row.slots.append(slot)
            candidates += [_Candidate(row, len(row.ids), choice, i) for i in range(self.count)]
        self._choose(candidates)

    def sort_out(self) -> None:
        """Move the rows that have ended."""
        announce(self.others, self.task)
        self.ended += [row for row in self.others if row.finish is not None]
        self.others = [row for row in self.others if row.finish is None]

    def _beside_the_leader(self, depth: int) -> list[_Candidate]:
        """What the leader might have taken instead, from a depth on."""
        return [
            _Candidate(self.leader, depth + at, choice, i)
            for at, choice in enumerate(self.leader.seen[depth:])
            for i in range(1, self.count)
        ]

    def _choose(self, candidates: Iterable[_Candidate]) -> None:
        """Go on with the most probable candidates, but for those that end there."""
        possible = [each for each in candidates if each.i < len(each.choice.tokens)]
        self.others = []
        for candidate in heapq.nlargest(self.count, possible, key=_Candidate.score):
            if len(self.others) >= self.width:
                break
            row = candidate.take(self.task.ends)
            if row.finish is None:
                self.others.append(row)
            else:
                self.ended.append(row)
                announce([row], self.task)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """The `i`-th best token behind the first `depth` tokens of a row."""

    row: Row
    depth: int
    choice: Choice
    i: int

    def score(self) -> float:
        """The new prefix's exact log-probability (nats)."""
        return sum(self.row.logprobs[: self.depth]) + self.choice.logprobs[self.i]

    def take(self, ends: Ends) -> Row:
        row, depth = self.row, self.depth
        taken = Row(
            "beam", row.ids[:depth], row.logprobs[:depth], row.seen[:depth], row.slots[:depth]
        )
        taken.take(self.choice.tokens[self.i], self.choice.logprobs[self.i], self.choice, ends)
        return taken
