"""The greedy draft first, then its most probable alternatives anywhere along it, together."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from polydraft.completion.drafters.forks import refill
from polydraft.completion.drafters.run import greedy_first, greedy_row
from polydraft.completion.drafters.task import Task
from polydraft.completion.rows import Row
from polydraft.completion.tree import DraftTree


@dataclass(frozen=True, slots=True)
class LazyFork:
    name: str = "lazy-fork"

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        return greedy_first(refill(tree, [greedy_row(tree, logits, task)], task))
