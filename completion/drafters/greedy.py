"""One draft: the most probable token at each step.

`guesses`: at most so many are checked in the same pass, which changes nothing but time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from polydraft.completion.drafters.run import distinct, greedy_row
from polydraft.completion.drafters.task import Task
from polydraft.completion.rows import Row
from polydraft.completion.tree import DraftTree

MOST_GUESSES = 7  # what passes cost says how many of them (`guessers/ahead.py`)


@dataclass(frozen=True, slots=True)
class Greedy:
    name: str = "greedy"
    guesses: int = 0

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        row = greedy_row(tree, logits, task, self.guesses)
        return distinct([row], task.key)
