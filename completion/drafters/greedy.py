"""One draft: the most probable token at each step.

`ahead`: it runs through guesses that are checked in the same pass, which changes nothing but time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from polydraft.completion.drafters.run import distinct, greedy_row
from polydraft.completion.drafters.task import Task
from polydraft.completion.rows import Row
from polydraft.completion.tree import DraftTree

GUESSES = 7  # tokens fed beside the pending one at most; what they cost says how many


@dataclass(frozen=True, slots=True)
class Greedy:
    name: str = "greedy"
    ahead: bool = False

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        row = greedy_row(tree, logits, task, GUESSES if self.ahead else 0)
        return distinct([row], task.key)
