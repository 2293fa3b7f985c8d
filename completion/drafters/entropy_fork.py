"""Fork where the exact greedy row is least certain: at the tokens of highest entropy.

The idea of entropy-triggered branching (for example EDT, arXiv 2403.14541, which sets the
temperature by the entropy): branches belong where the model hesitates, not at the first token.
The entropy (nats) is that of the best alternatives, with one more outcome for all the rest, on the
exact row; the runner-up there is taken and continued greedily.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from polydraft.completion.drafters.forks import Fork, all_forks, refill
from polydraft.completion.drafters.run import announce, greedy_first, greedy_row, run
from polydraft.completion.drafters.task import Task
from polydraft.completion.rows import Choice, Row
from polydraft.completion.tree import DraftTree


@dataclass(frozen=True, slots=True)
class EntropyFork:
    name: str = "entropy-fork"

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        greedy = greedy_row(tree, logits, task)
        best: dict[int, Fork] = {}  # the most probable fork of each depth
        for fork in sorted(all_forks([greedy]), key=lambda fork: -fork.logprob):
            best.setdefault(fork.depth, fork)
        depths = sorted(best, key=lambda depth: -entropy(greedy.seen[depth]))[: task.k - 1]
        rows = [best[depth].take(task.ends) for depth in depths]
        announce(rows, task)
        run(tree, rows, task)
        return greedy_first(refill(tree, [greedy, *rows], task))


def entropy(choice: Choice) -> float:
    """Nats; the tokens beyond the kept alternatives count as one outcome."""
    kept = [math.exp(logprob) for logprob in choice.logprobs]
    rest = max(0.0, 1 - sum(kept))
    return -sum(p * math.log(p) for p in (*kept, rest) if p > 0)
