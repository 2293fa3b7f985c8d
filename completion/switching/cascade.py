"""Speculative cascades (Narasimhan et al., arXiv 2405.19261): defer only where it is worth it.

The small model q keeps its token unless the large one p is the surer of the two by more than their
distance accounts for: defer if  max q < max p - alpha * D_TV(p, q)  (the OPT rule), greedily. So a
token on which both are unsure stays as it is, where greedy speculation would replace it.

D_TV is taken over the tokens that both choices list, with one more outcome for all others: the
exact distance of the distributions coarsened in that way, a lower bound of the full one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from polydraft.completion.rows import Choice
from polydraft.completion.switching.policy import Reason, differs, surprising


@dataclass(frozen=True, slots=True)
class Cascade:
    alpha: float
    gate: float = 0.0  # nats
    name: str = "cascade"
    checks: bool = True

    def hands_over(self, small: Sequence[Choice]) -> Reason | None:
        return None

    def looks(self, small: Sequence[Choice], price: float = 1.0) -> Reason | None:
        return surprising(small, self.gate, price)

    def rejects(
        self, token: int, small: Choice | None, large: Choice, loss: float
    ) -> Reason | None:
        if small is None or token == large.tokens[0]:
            return differs(token, large, loss)
        own = math.exp(small.logprobs[0])
        bound = math.exp(large.logprobs[0]) - self.alpha * distance(small, large)
        return Reason("confidence (probability)", own, bound) if own < bound else None

    def hands_back(self, large: Sequence[Choice]) -> bool:
        return True


def distance(q: Choice, p: Choice) -> float:
    """Total variation of two choices, over the tokens that both list and the rest as one."""
    mass_q = dict(zip(q.tokens, map(math.exp, q.logprobs), strict=True))
    mass_p = dict(zip(p.tokens, map(math.exp, p.logprobs), strict=True))
    both = mass_q.keys() & mass_p.keys()
    rest_q, rest_p = (1 - sum(mass[token] for token in both) for mass in (mass_q, mass_p))
    apart = sum(abs(mass_q[token] - mass_p[token]) for token in both)
    return (apart + abs(rest_q - rest_p)) / 2
