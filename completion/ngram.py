"""Token n-grams of the text around the cursor, as a second opinion on the next token.

In MODEL TOKEN IDS and from the user's own text, not from a web corpus. Interpolation is linear with
a weight that grows with the evidence, alpha * c / (c + kappa) for a context seen c times, so unseen
contexts change nothing and new identifiers survive (the paper's rule bans them).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

ORDERS = (4, 3, 2)  # longest context first: the longest one that was seen decides


class NGrams:
    """Counts of (context, next token) for the orders in `ORDERS`."""

    def __init__(
        self, text: Sequence[int] = (), *, prompt: Sequence[int] = (), alpha: float = 0.3,
        kappa: float = 2.0,
    ) -> None:  # fmt: skip
        """text: ids to count. prompt: ids before the draft, for contexts that reach into it."""
        self._alpha = alpha
        self._kappa = kappa
        self._tail = tuple(prompt[-max(ORDERS) :])
        self._counts: dict[tuple[int, ...], dict[int, int]] = defaultdict(dict)
        for order in ORDERS:
            for i in range(len(text) - order + 1):
                following = self._counts[tuple(text[i : i + order - 1])]
                token = text[i + order - 1]
                following[token] = following.get(token, 0) + 1

    def interpolate(
        self, draft: Sequence[int], tokens: Sequence[int], p: Sequence[float]
    ) -> list[float]:
        """p_f of each of `tokens`, given the draft so far; p are the model's probabilities."""
        behind = (*self._tail, *draft)[-max(ORDERS) :]
        for order in ORDERS:
            if len(behind) < order - 1:
                continue
            following = self._counts.get(behind[len(behind) - order + 1 :])
            if following:
                count = sum(following.values())
                weight = self._alpha * count / (count + self._kappa)
                return [
                    (1 - weight) * q + weight * following.get(token, 0) / count
                    for token, q in zip(tokens, p, strict=True)
                ]
        return list(p)
