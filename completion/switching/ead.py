"""Entropy-adaptive decoding (EAD): the large model writes while the text is hard to foresee.

H_t = -sum p log2 p of the model that writes; mean over the last w tokens since the switch. Above
`up` the large model takes over, for `stay` tokens at least, until the mean of its own is at most
`down`. Nothing is taken back. The statistics of the two models are kept apart: the large one is
more certain of the same text, and one mean over both would end its stay by itself.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from polydraft.completion.rows import Choice
from polydraft.completion.switching.policy import Reason, first_hand_over


@dataclass(frozen=True, slots=True)
class Ead:
    up: float  # bits
    down: float  # bits
    window: int  # tokens
    stay: int  # tokens
    name: str = "ead"
    checks: bool = False

    def hands_over(self, small: Sequence[Choice]) -> Reason | None:
        mean = rolling(small, self.window)
        return Reason("rolling entropy (bits)", mean, self.up) if mean > self.up else None

    def looks(self, small: Sequence[Choice], price: float = 1.0) -> Reason | None:
        found = first_hand_over(self.hands_over, small)
        return None if found is None else found[1]

    def rejects(
        self, token: int, small: Choice | None, large: Choice, loss: float
    ) -> Reason | None:
        return None

    def hands_back(self, large: Sequence[Choice]) -> bool:
        return len(large) >= self.stay and rolling(large, self.window) <= self.down


def rolling(choices: Sequence[Choice], window: int) -> float:
    """Mean entropy (bits) of the last `window` choices; of fewer where there are no more."""
    return statistics.fmean(choice.entropy for choice in choices[-window:])
