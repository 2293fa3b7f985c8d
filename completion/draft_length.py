"""How many tokens to guess before the exact model looks: as many as pay on this device.

With an acceptance a, a pass over the pending token and n guesses yields (1 - a^(n+1)) / (1 - a)
tokens on average (Leviathan et al., arXiv 2211.17192, section 3.1). Where a pass over five tokens
costs five steps, no guess pays, and the answer is 0.
"""

from __future__ import annotations

from collections.abc import Callable


def draft_length(
    step_ms: float, check_ms: Callable[[int], float], acceptance: float, most: int
) -> int:
    """The n from 0 to `most` with the best `rate`."""
    return max(range(most + 1), key=lambda n: rate(n, step_ms, check_ms, acceptance))


def rate(
    guesses: int, step_ms: float, check_ms: Callable[[int], float], acceptance: float
) -> float:
    """Expected tokens a millisecond with so many guesses before a check.

    step_ms: what guessing one token costs; check_ms(n): a pass of the exact model over n tokens.
    """
    if not 0 <= acceptance <= 1:
        raise ValueError(f"acceptance is a probability, not {acceptance}")
    expected = sum(acceptance**i for i in range(guesses + 1))
    return expected / (guesses * step_ms + check_ms(guesses + 1))
