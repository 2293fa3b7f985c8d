"""Top-k first-token fork: the k most probable first tokens, each continued greedily together."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from polydraft.completion.drafters.run import announce, distinct, greedy_first, run
from polydraft.completion.drafters.task import Task
from polydraft.completion.rows import Row, choices
from polydraft.completion.tree import DraftTree


@dataclass(frozen=True, slots=True)
class FirstTokenFork:
    name: str = "first-fork"

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        choice = choices(logits[None], task.k)[0]
        rows = []
        for i, (token, logprob) in enumerate(zip(choice.tokens, choice.logprobs, strict=True)):
            row = Row("fork" if i else "greedy")
            row.take(token, logprob, choice, task.ends)
            rows.append(row)
        announce(rows, task)
        run(tree, rows, task)
        return greedy_first(distinct(rows, task.key))
