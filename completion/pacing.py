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


@dataclass(frozen=True, slots=True)
class Costs:
    """What passes of the two models cost on their devices."""

    small: PassCosts
    large: PassCosts

    def length(self, lines: int, experience: Experience) -> int:
        """How many tokens the small model should propose for each of some drafts.

        None, if free guesses (or none at all) give more tokens a millisecond.
        """

        def check(tokens: int) -> float:
            return self.large.of(lines + tokens - 1)

        step, small, free = self.small.of(lines), experience.small.rate, experience.guesses.rate
        most = draft_length(step, check, small, MOST)
        guesses = self.guesses(lines, experience)
        pays = rate(most, step, check, small) > rate(guesses, 0, check, free)
        return most if pays else 0

    def guesses(self, lines: int, experience: Experience) -> int:
        """How many tokens that cost nothing to guess are worth a check."""
        return draft_length(
            0, lambda n: self.large.of(lines + n - 1), experience.guesses.rate, MOST
        )


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
