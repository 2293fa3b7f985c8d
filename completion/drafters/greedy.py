"""One draft: the most probable token at each step."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from polydraft.completion.drafters.run import distinct, greedy_row
from polydraft.completion.drafters.task import Task
from polydraft.completion.rows import Row
from polydraft.completion.tree import DraftTree


@dataclass(frozen=True, slots=True)
class Greedy:
    name: str = "greedy"

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        return distinct([greedy_row(tree, logits, task)], task.key)
