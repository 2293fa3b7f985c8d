"""Switching at random: what a policy is worth shows against this at the same share of tokens.

Only the decision is left to chance, how it is carried out is not. Where the large model judges, a
token that is not its own best is replaced with probability `rate`; where it does not, it writes
each token with that probability. The decision is a function of the seed and of the tokens that
the models list, so that the same question has the same answer, and a higher rate adds decisions to
those of a lower one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from polydraft.completion.rows import Choice
from polydraft.completion.switching.policy import Reason, differs, first_hand_over


@dataclass(frozen=True, slots=True)
class Chance:
    rate: float  # probability
    checks: bool
    seed: int = 0
    name: str = "random"

    def hands_over(self, small: Sequence[Choice]) -> Reason | None:
        return None if self.checks else self._draw([each.tokens for each in small])

    def looks(self, small: Sequence[Choice], price: float = 1.0) -> Reason | None:
        if self.checks:
            return Reason("rate", self.rate, 0.0)
        found = first_hand_over(self.hands_over, small)
        return None if found is None else found[1]

    def rejects(
        self, token: int, small: Choice | None, large: Choice, loss: float
    ) -> Reason | None:
        if not self.checks or token == large.tokens[0]:
            return None
        return (
            differs(token, large, loss)
            if small is None
            else self._draw([token, small.tokens, large.tokens])
        )

    def hands_back(self, large: Sequence[Choice]) -> bool:
        return True

    def _draw(self, facts: Sequence[object]) -> Reason | None:
        drawn = random.Random(f"{self.seed} {facts}").random()
        return Reason("drawn", drawn, self.rate) if drawn < self.rate else None
