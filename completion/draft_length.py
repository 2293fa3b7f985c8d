"""How many tokens to guess before the exact model checks them.

Speculative decoding (Leviathan et al., arXiv 2211.17192) feeds n guesses behind the pending token
in one exact pass and keeps them as far as the exact model agrees, and one token more of its own.
If each guess is right with probability a, as far as those before it were, that gives on average

    1 + a + a^2 + ... + a^n = (1 - a^(n+1)) / (1 - a)  tokens,

for n steps of whoever guesses and one pass over n + 1 tokens. The n to choose is the one with the
most tokens a millisecond; where a pass over 5 tokens costs 5 steps, that is none.

Glossary
    acceptance   how often a guess is right, all before it being right
    step_ms      what it costs to propose one token; 0 for guesses that are only looked up
    check_ms(n)  what the exact model's pass over n tokens costs
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

CheckMs = Callable[[int], float]


def expected_tokens(acceptance: float, guesses: int) -> float:
    """What a pass with `guesses` guesses gives on average, the exact model's own token included."""
    assert 0 <= acceptance <= 1 and guesses >= 0
    if acceptance == 1:
        return guesses + 1.0
    return (1 - acceptance ** (guesses + 1)) / (1 - acceptance)


def rate(guesses: int, step_ms: float, check_ms: CheckMs, acceptance: float) -> float:
    """Expected tokens a millisecond with so many guesses before a check."""
    return expected_tokens(acceptance, guesses) / (guesses * step_ms + check_ms(guesses + 1))


def draft_length(step_ms: float, check_ms: CheckMs, acceptance: float, most: int) -> int:
    """The number of guesses, at most `most`, that gives the most tokens a millisecond."""
    return worthwhile([acceptance] * most, check_ms, step_ms)


def worthwhile(confidences: Sequence[float], check_ms: CheckMs, step_ms: float = 0.0) -> int:
    """The same for guesses that differ: how many of them, from the first on, to have checked.

    confidences[i]: how probably guess i is right, all before it being right. Of equally good
    numbers the smallest.
    """
    best, rate = 0, 1 / check_ms(1)
    tokens = right = 1.0
    for n, confidence in enumerate(confidences, 1):
        right *= confidence
        tokens += right
        found = tokens / (n * step_ms + check_ms(n + 1))
        if found > rate:
            best, rate = n, found
    return best
