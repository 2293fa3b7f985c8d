"""Beam search: the k unfinished prefixes of highest exact log-probability, step by step.

A finished draft leaves the beam for the pool and its place goes to the next best prefix. Drafts
are compared by their sum of log-probabilities while they grow in step, and the pool's best k are
taken by their mean, for drafts of different lengths (GNMT's length penalty with alpha = 1,
arXiv 1609.08144, section 7). The search ends when k distinct drafts have finished and no prefix
of the beam has a better mean than the worst of them, or none is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from polydraft.completion.drafters.run import announce, distinct, out_of_time
from polydraft.completion.drafters.task import Task
from polydraft.completion.meter import OutOfTime
from polydraft.completion.rows import Choice, Row, choices, look_once
from polydraft.completion.tree import DraftTree


@dataclass(frozen=True, slots=True)
class Beam:
    name: str = "beam"

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        pool: list[Row] = []
        alive = self._extend([Row("beam")], choices(logits[None], 2 * task.k), pool, task)
        try:
            while alive and not self._settled(alive, pool, task):
                seen = look_once(tree, alive, 2 * task.k, task.watch)
                alive = self._extend(alive, seen, pool, task)
        except OutOfTime:
            out_of_time(alive)
            pool += alive
        return distinct(sorted(pool, key=lambda row: -row.mean_logprob), task.key)[: task.k]

    def _extend(
        self, rows: list[Row], seen: list[Choice], pool: list[Row], task: Task
    ) -> list[Row]:
        """The k best continuations that go on; those that end go to the pool."""
        candidates = [
            (sum(row.logprobs) + logprob, row, choice, token, logprob)
            for row, choice in zip(rows, seen, strict=True)
            for token, logprob in zip(choice.tokens, choice.logprobs, strict=True)
        ]
        candidates.sort(key=lambda candidate: -candidate[0])
        alive: list[Row] = []
        for _, row, choice, token, logprob in candidates[: 2 * task.k]:
            branch = Row("beam", [*row.ids], [*row.logprobs], [*row.seen], [*row.slots])
            branch.take(token, logprob, choice, task.ends)
            if branch.finish is not None:
                pool.append(branch)
                announce([branch], task)
            elif len(alive) < task.k:
                alive.append(branch)
        return alive

    def _settled(self, alive: list[Row], pool: list[Row], task: Task) -> bool:
        found = distinct(sorted(pool, key=lambda row: -row.mean_logprob), task.key)
        if len(found) < task.k:
            return False
        return max(row.mean_logprob for row in alive) < found[task.k - 1].mean_logprob
