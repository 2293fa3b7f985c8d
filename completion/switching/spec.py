"""Greedy speculative decoding: the large model's own greedy output, token for token.

(Leviathan et al., arXiv 2211.17192; Chen et al., arXiv 2302.01318, both with temperature 0.) The
small model only guesses: whatever is not the large model's best token is replaced by it. Sampling
stands in `spec_sampling.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polydraft.completion.rows import Choice
from polydraft.completion.switching.policy import Reason, differs


@dataclass(frozen=True, slots=True)
class Spec:
    name: str = "spec"
    checks: bool = True

    def hands_over(self, small: Sequence[Choice]) -> Reason | None:
        return None

    def looks(self, small: Sequence[Choice], price: float = 1.0) -> Reason | None:
        return Reason("every draft is checked", 1.0, 1.0)

    def rejects(
        self, token: int, small: Choice | None, large: Choice, loss: float
    ) -> Reason | None:
        return differs(token, large, loss)

    def hands_back(self, large: Sequence[Choice]) -> bool:
        return True
