"""One draft: the most probable token at each step.

`ahead`: it runs through guesses that are checked in the same pass, which changes nothing but time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from polydraft.completion.drafters.run import (
    announce,
    distinct,
    greedy_row,
    greedy_start,
    out_of_time,
)
from polydraft.completion.drafters.task import Task
from polydraft.completion.meter import OutOfTime
from polydraft.completion.rows import Row, step
from polydraft.completion.tree import DraftTree

GUESSES = 3  # tokens fed beside the pending one


@dataclass(frozen=True, slots=True)
class Greedy:
    name: str = "greedy"
    ahead: bool = False

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        if not self.ahead:
            return distinct([greedy_row(tree, logits, task)], task.key)
        row = greedy_start(logits, task)
        try:
            while row.finish is None:
                step(tree, [row], task.ends, [task.lookahead.guess(row.ids, GUESSES)])
                announce([row], task)
        except OutOfTime:
            out_of_time([row])
        return distinct([row], task.key)
