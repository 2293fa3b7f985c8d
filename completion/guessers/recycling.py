"""Token Recycling: what the exact model last said behind a token is a guess for the next time.

Luo et al., "Turning Trash into Treasure: Accelerating Inference of LLMs with Token Recycling"
(arXiv 2408.08696). Every pass tells the most probable tokens behind each token that was fed, a
right guess or a wrong one, and all but one of them are thrown away. Kept in a matrix, they are
guesses that cost a look into it. They know one token of context, but all that the model has said.

    successors[t]  [S] int32: the best tokens behind the last occurrence of t, best first; -1: none

Worked example: behind `self` the model saw `.` before ` ->`, later behind `.` first `name`: the
chain behind `self` is [`.`, `name`]. The paper feeds a tree of some 80 tokens. On a CPU every
further token of a pass costs, and in a calculation a small tree saved one percent of the time more
than the chain of the best ones (docs/measurements.md), so the chain is all that is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from polydraft.completion.guessers.guesser import Kind, Proposal, Proposals
from polydraft.completion.rows import ALTERNATIVES, Choice, Row
from polydraft.completion.tree import DraftTree

SUCCESSORS = ALTERNATIVES  # that every pass looks at; the paper's matrix has 8
_DEPTHS = 4  # kinds: the first guess of a chain is right less often than those behind right ones

# How often the guesses of a chain were right at first, by depth. Dev split, as for `lookup`.
FIRST: Mapping[Kind, float] = {
    ("recycled", i): p for i, p in enumerate((0.17, 0.35, 0.43, 0.5))
}  # fmt: skip


class Successors:
    """The matrix [V, S] of one model. Not thread-safe: it belongs to the model's engine."""

    def __init__(self, vocab_size: int, count: int = SUCCESSORS) -> None:
        self._held = np.full((vocab_size, count), -1, np.int32)

    @property
    def nbytes(self) -> int:
        return self._held.nbytes

    def of(self, token: int) -> list[int]:
        """The best tokens behind the last occurrence of a token, best first; none if unknown."""
        held = self._held[token]
        found: list[int] = held[held >= 0].tolist()
        return found

    def put(self, token: int, choice: Choice) -> None:
        """What the exact model said behind a token, in place of what it said the last time."""
        best = choice.tokens[: self._held.shape[1]]
        self._held[token, : len(best)] = best
        self._held[token, len(best) :] = -1


class Recycling:
    """Guesses chains of the best successors."""

    name = "recycling"
    step_ms = 0.0

    def __init__(self, successors: Successors) -> None:
        self.successors = successors

    def propose(self, tree: DraftTree, row: Row) -> Proposals:
        yield from self.after(row.ids[-1])

    def after(self, token: int) -> Proposals:
        """The chain of best successors behind a token, without an end if it runs in a circle."""
        depth = 0
        while found := self.successors.of(token):
            token = found[0]
            yield Proposal(token, ("recycled", min(depth, _DEPTHS - 1)))
            depth += 1

    def learn(self, fed: Sequence[int], said: Sequence[Choice]) -> None:
        for token, choice in zip(fed, said, strict=True):
            self.successors.put(token, choice)
