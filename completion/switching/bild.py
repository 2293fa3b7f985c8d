"""Big-little decoding (BiLD; Kim et al., arXiv 2302.07863): fallback and rollback.

Fallback: where the small model's best token has a probability below `confidence`, the large one
writes it. Rollback: the large model judges in one pass what it has not seen; the first token whose
loss is above `rollback` and that is not its own best is replaced by that, and the small model goes
on from there. A higher `rollback` trusts the small model more.

`gate` is ours: a finished draft, or the rest of one, that is more probable as a whole than e^-gate
is not judged, so an easy line costs the large model nothing (0: everything is judged). Where asking
is dearer than usual, its prompt being yet to be read, it takes as many times less probable a draft.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from polydraft.completion.rows import Choice
from polydraft.completion.switching.policy import Reason, differs, surprising


@dataclass(frozen=True, slots=True)
class Bild:
    confidence: float  # probability
    rollback: float  # nats
    gate: float = 0.0  # nats
    name: str = "bild"
    checks: bool = True

    def hands_over(self, small: Sequence[Choice]) -> Reason | None:
        best = math.exp(small[-1].logprobs[0])
        if best >= self.confidence:
            return None
        return Reason("confidence (probability)", best, self.confidence)

    def looks(self, small: Sequence[Choice], price: float = 1.0) -> Reason | None:
        return surprising(small, self.gate, price)

    def rejects(
        self, token: int, small: Choice | None, large: Choice, loss: float
    ) -> Reason | None:
        if token == large.tokens[0]:
            return None
        if small is None:
            return differs(token, large, loss)
        if loss > self.rollback:
            return Reason("loss (nats)", loss, self.rollback)
        return self.hands_over([small])

    def hands_back(self, large: Sequence[Choice]) -> bool:
        return True
