"""A beam that the greedy row leads: it is never dropped, comes first, and sets the pace.

Beam search finds the alternatives that are probable as a whole, but its first draft comes late and
its search goes on long after. Here one of the k rows is always the greedy one, the others are the
most probable other prefixes (sums of exact log-probabilities, step by step), and when the greedy
row has ended the others get `patience` of its passes more. What has not ended by then is shown as
far as it came: a beginning that the user may take by the word.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from polydraft.completion.drafters.run import announce, distinct, greedy_first, out_of_time
from polydraft.completion.drafters.task import Task
from polydraft.completion.meter import OutOfTime
from polydraft.completion.rows import Choice, Row, choices
from polydraft.completion.tree import DraftTree
from polydraft.completion.types import Finish

LEAST_PASSES = 2  # that the others get, however short the greedy draft is


@dataclass(frozen=True, slots=True)
class LedBeam:
    name: str = "led-beam"
    width: int | None = None  # rows in a pass; None: k
    patience: float = 0.25

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        width = min(self.width or task.k, task.k)
        pool: list[Row] = []
        leader, alive = Row("greedy"), [Row("beam")]
        passes, limit = 0, math.inf
        try:
            seen = choices(logits[None], 2 * task.k)
            alive = self._extend([leader], seen, leader, pool, width, task)
            while alive and passes < limit:
                first = tree.next_slot
                pending = torch.tensor([row.ids[-1] for row in alive])
                seen = choices(tree.feed(pending, [row.slots for row in alive]), 2 * task.k)
                passes += 1
                for i, row in enumerate(alive):
                    row.slots.append(first + i)
                alive = self._extend(alive, seen, leader, pool, width, task)
                if leader.finish is not None:
                    if len(distinct(pool, task.key)) >= task.k:
                        break
                    if limit == math.inf:
                        limit = passes + max(LEAST_PASSES, math.ceil(self.patience * passes))
            for row in alive:
                row.finish = Finish.CUT
        except OutOfTime:
            out_of_time(alive)
        announce((row for row in alive if row is not leader), task)
        others = sorted((r for r in pool if r is not leader), key=lambda row: -row.mean_logprob)
        cut = sorted((r for r in alive if r is not leader), key=lambda row: -row.mean_logprob)
        return greedy_first(distinct([leader, *others, *cut], task.key)[: task.k])

    def _extend(
        self,
        rows: list[Row],
        seen: list[Choice],
        leader: Row,
        pool: list[Row],
        width: int,
        task: Task,
    ) -> list[Row]:
        """The leader's best token, and the best of all other continuations."""
        candidates = [
            (sum(row.logprobs) + logprob, row, choice, i)
            for row, choice in zip(rows, seen, strict=True)
            for i, logprob in enumerate(choice.logprobs)
            if not (row is leader and i == 0)
        ]
        candidates.sort(key=lambda candidate: -candidate[0])
        branches = [
            (Row("beam", [*row.ids], [*row.logprobs], [*row.seen], [*row.slots]), choice, i)
            for _, row, choice, i in candidates[: 2 * task.k]
        ]
        alive: list[Row] = []
        if leader.finish is None:
            leader.take_best(seen[0], task.ends)
            if leader.finish is None:
                alive.append(leader)
            else:
                pool.append(leader)
                announce([leader], task)
        for branch, choice, i in branches:
            if len(alive) >= width:
                break
            branch.take(choice.tokens[i], choice.logprobs[i], choice, task.ends)
            if branch.finish is None:
                alive.append(branch)
            else:
                pool.append(branch)
                announce([branch], task)
        return alive
