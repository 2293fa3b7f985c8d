"""What a forward pass over a few new tokens costs on the device at hand, as measured there."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

MEASURED = (1, 2, 3, 4, 6, 8, 16, 32)  # tokens a pass


@dataclass(frozen=True, slots=True)
class PassCosts:
    """`ms[n]` is the time of a pass over n new tokens, n ascending from 1."""

    ms: Mapping[int, float]

    def __post_init__(self) -> None:
        sizes = list(self.ms)
        if not sizes or sizes[0] != 1 or sizes != sorted(sizes):
            raise ValueError(f"the sizes must ascend from 1, not {sizes}")
        if min(self.ms.values()) <= 0:
            raise ValueError("a pass takes time")

    def of(self, tokens: int) -> float:
        """Milliseconds; between and beyond the measured sizes on straight lines."""
        sizes = list(self.ms)
        at = bisect_left(sizes, tokens)
        if at < len(sizes) and sizes[at] == tokens:
            return self.ms[tokens]
        if len(sizes) == 1:
            return self.ms[1] * tokens
        below, above = sizes[max(0, min(at - 1, len(sizes) - 2)) :][:2]
        slope = (self.ms[above] - self.ms[below]) / (above - below)
        return max(self.ms[1], self.ms[below] + slope * (tokens - below))

    def relative(self, tokens: int) -> float:
        """In passes over one token."""
        return self.of(tokens) / self.ms[1]
