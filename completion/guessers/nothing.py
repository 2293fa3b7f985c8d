"""No guesses: every token takes a pass."""

from __future__ import annotations

from collections.abc import Sequence

from polydraft.completion.guessers.guesser import Proposals
from polydraft.completion.rows import Choice, Row
from polydraft.completion.tree import DraftTree


class Nothing:
    name = "none"
    step_ms = 0.0

    def propose(self, tree: DraftTree, row: Row) -> Proposals:
        yield from ()

    def learn(self, fed: Sequence[int], said: Sequence[Choice]) -> None:
        pass
