"""How much is proposed and looked at in a pair: what passes cost, and what has stood so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from polydraft.completion.draft_length import draft_length, rate
from polydraft.completion.pass_costs import PassCosts

MOST = 6  # tokens that are proposed before a check


@dataclass(slots=True)
class Standing:
    """The share of proposed tokens that stood, over the latest ones."""

    rate: float
    weight: float = 0.02  # of one token

    def hear(self, stood: bool) -> None:
        self.rate += self.weight * (stood - self.rate)


@dataclass(slots=True)
class Experience:
    """What requests so far have shown of those who propose; kept by the engine of a pair."""

    small: Standing = field(default_factory=lambda: Standing(0.75))
    guesses: Standing = field(default_factory=lambda: Standing(0.4))

    def here(self) -> Standing:
        """The small model's, for one request: a place where it is wrong is soon known as one."""
        return Standing(self.small.rate, weight=0.15)


@dataclass(frozen=True, slots=True)
class Costs:
    """What passes of the two models cost on their devices."""

    small: PassCosts
    large: PassCosts

    def length(self, lines: int, small: float, guesses: float) -> int:
        """How many tokens the small model should propose for each of some drafts.

        small, guesses: how often its tokens and free guesses stand. None, if guesses (or nothing at
        all) give more tokens a millisecond.
        """

        def check(tokens: int) -> float:
            return self.large.of(lines + tokens - 1)

        step = self.small.of(lines)
        most = draft_length(step, check, small, MOST)
        free = self.guesses(lines, guesses)
        return most if rate(most, step, check, small) > rate(free, 0, check, guesses) else 0

    def guesses(self, lines: int, rate: float) -> int:
        """How many tokens that cost nothing to guess are worth a check."""
        return draft_length(0, lambda n: self.large.of(lines + n - 1), rate, MOST)


def worth_looking(chances: Sequence[float], cost: Callable[[int], float]) -> int:
    """How many proposed tokens to check in one pass: the number with the most tokens a millisecond.

    chances: how probably each stands, all before it standing, most probable first; cost(n): the
    pass over n of them. Whatever n is, the pass gives one token more, its own.
    """
    best, most = 0, 1 / cost(0)
    tokens = 1.0
    for n, chance in enumerate(chances, 1):
        tokens += chance
        if tokens / cost(n) > most:
            best, most = n, tokens / cost(n)
    return best
