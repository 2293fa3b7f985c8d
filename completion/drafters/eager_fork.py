"""Fork while the greedy row is still running, so that forks share its passes.

On most devices a pass over a few rows costs hardly more than one over a single row, and a draft's
wall time is its number of passes. So a fork is taken as soon as a likely alternative shows itself
along the exact rows, up to `width` rows at a time; the greedy row is never held up. When it has
ended, the most probable alternatives that are left fill up to k.

    joint        a prefix's exact log-probability (nats): what alternatives compete by
    threshold    while the greedy row runs, a fork must have at least this joint: something better
                 may still turn up
    patience     passes that the others get after the greedy row's end, in shares of its passes
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from polydraft.completion.drafters.forks import FORK_FLOOR, best_forks
from polydraft.completion.drafters.run import announce, distinct, out_of_time
from polydraft.completion.drafters.task import Task
from polydraft.completion.meter import OutOfTime
from polydraft.completion.rows import Row, choices, step
from polydraft.completion.tree import DraftTree


@dataclass(frozen=True, slots=True)
class EagerFork:
    name: str = "eager-fork"
    width: int = 3  # rows in a pass
    threshold: float = -2.0
    patience: float = math.inf

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        greedy = Row("greedy")
        greedy.take_best(choices(logits[None])[0], task.ends)
        announce([greedy], task)
        rows, texts = [greedy], {_text(greedy, task)}
        passes, limit = 0, math.inf
        try:
            while passes < limit:
                self._fork(rows, texts, task)
                running = [row for row in rows if row.finish is None]
                if not running:
                    break
                step(tree, running, task.ends, task.watch)
                passes += 1
                for row in running:
                    if row.finish is not None:
                        announce([row], task)
                        texts.add(_text(row, task))
                if greedy.finish is not None and limit == math.inf:
                    limit = passes + max(2.0, self.patience * passes)
            rows = [row for row in rows if row.finish is not None]
        except OutOfTime:
            out_of_time(rows)
        others = sorted(rows[1:], key=lambda row: -row.mean_logprob)
        return distinct([greedy, *others], task.key)[: task.k]

    def _fork(self, rows: list[Row], texts: set[str | None], task: Task) -> None:
        """Start the best forks that there is room for."""
        greedy_runs = rows[0].finish is None
        floor = self.threshold if greedy_runs else -FORK_FLOOR
        while True:
            running = sum(row.finish is None for row in rows)
            wanted = running + len(texts - {None})  # drafts that there are or may be
            if running >= self.width or wanted >= task.k:
                return
            found = best_forks(rows, 1)
            if not found or found[0].joint < floor:
                return
            row = found[0].take(task.ends)
            rows.append(row)
            if row.finish is not None:
                announce([row], task)
                texts.add(_text(row, task))


def _text(row: Row, task: Task) -> str | None:
    """What a finished row reads like; None for one that is running or shows nothing."""
    return None if row.finish is None else task.key(row.ids, row.finish)
