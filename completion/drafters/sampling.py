"""k rows sampled independently over the shared prefix, from a truncated distribution.

`nucleus`  the smallest set of best tokens whose probability reaches p (Holtzman et al., 2020)
`min_p`    the tokens at least p times as probable as the best (Nguyen et al., arXiv 2407.01082)

Candidates are the 64 most probable tokens: what lies beyond them practically never survives either
rule. Rows carry the exact model's log-probabilities at temperature 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from polydraft.completion.drafters.run import announce, distinct, out_of_time
from polydraft.completion.drafters.task import Task
from polydraft.completion.meter import OutOfTime
from polydraft.completion.rows import Choice, Row, choices, look_once
from polydraft.completion.tree import DraftTree

CANDIDATES = 64

Truncation = Callable[[torch.Tensor, float], torch.Tensor]


def nucleus(p: torch.Tensor, limit: float) -> torch.Tensor:
    """p [C], descending -> which of them are kept [C] bool."""
    return torch.cumsum(p, 0) - p < limit


def min_p(p: torch.Tensor, limit: float) -> torch.Tensor:
    """p [C], descending -> which of them are kept [C] bool."""
    return p >= limit * p[0]


@dataclass(frozen=True, slots=True)
class Sampling:
    """`seed` makes a request reproducible: the same prompt gives the same drafts."""

    name: str
    truncation: Truncation
    limit: float
    temperature: float = 0.8
    seed: int = 0

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        generator = torch.Generator().manual_seed(self.seed)
        rows = [Row("sampled") for _ in range(task.k)]
        self._take(rows, choices(logits[None], CANDIDATES) * task.k, task, generator)
        try:
            while running := [row for row in rows if row.finish is None]:
                self._take(
                    running, look_once(tree, running, CANDIDATES, task.watch), task, generator
                )
        except OutOfTime:
            out_of_time(rows)
        return distinct(rows, task.key)

    def _take(
        self, rows: list[Row], seen: list[Choice], task: Task, generator: torch.Generator
    ) -> None:
        """One more token for each row, from what may follow it."""
        for row, choice in zip(rows, seen, strict=True):
            p = self._truncated(choice)
            drawn = int(torch.multinomial(p, 1, generator=generator))
            row.take(choice.tokens[drawn], choice.logprobs[drawn], choice, task.ends)
        announce(rows, task)

    def distribution(self, choice: Choice) -> dict[int, float]:
        """What is drawn from, given `CANDIDATES` choices: the probability of each token kept."""
        p = self._truncated(choice)
        p = p / p.sum()
        return {
            token: mass for token, mass in zip(choice.tokens, p.tolist(), strict=True) if mass > 0
        }

    def _truncated(self, choice: Choice) -> torch.Tensor:
        """Probabilities [C], not normalised, zero for what the rule leaves out."""
        p = torch.softmax(torch.tensor(choice.logprobs) / self.temperature, 0)
        return p * self.truncation(p, self.limit)
