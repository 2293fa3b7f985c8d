"""How much is proposed and looked at in a pair: what passes cost, and what has stood so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from polydraft.completion.draft_length import draft_length, rate
from polydraft.completion.pass_costs import PassCosts

TAIL = 8  # tokens of prompt that the large model's first check may bring along
FAVOUR = 1.15  # for the small model: with guesses more of the text is the large one's to write
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
    asking_ms: float = 0.0  # what the large model's passes cost a request; 0: not known yet

    def asked(self, ms: float) -> None:
        self.asking_ms += (ms - self.asking_ms) * (0.1 if self.asking_ms else 1.0)

    def here(self) -> Standing:
        """The small model's, for one request: a place where it is wrong is soon known as one."""
        return Standing(self.small.rate, weight=0.15)


class Pace(NamedTuple):
    """`most` tokens before a check, fewer where they are unlikely to stand.

    One more token costs a step, and stands with the probability of all so far; below `least` that
    is less than a step gives on average (SpecDec++'s threshold rule, without its trained head;
    Huang et al., arXiv 2405.19715, section 3).
    """

    most: int
    least: float = 0.0


@dataclass(frozen=True, slots=True)
class Costs:
    """What passes of the two models cost on their devices."""

    small: PassCosts
    large: PassCosts

    def pace(self, lines: int, small: float, guesses: float) -> Pace:
        """How far the small model should propose, for each of some drafts.

        small, guesses: how often its tokens and free guesses stand. Nothing, if guesses (or nothing
        at all) give more tokens a millisecond.
        """

        def check(tokens: int) -> float:
            return self.large.of(lines + tokens - 1)

        step = self.small.of(lines)
        most = draft_length(step, check, small, MOST)
        own = rate(most, step, check, small)
        if own * FAVOUR <= rate(self.guesses(lines, guesses), 0, check, guesses):
            return Pace(0)
        return Pace(most, min(1.0, step * own))

    def guesses(self, lines: int, rate: float) -> int:
        """How many tokens that cost nothing to guess are worth a check."""
        return draft_length(0, lambda n: self.large.of(lines + n - 1), rate, MOST)

    def price(self, missing: int, experience: Experience) -> float:
        """What asking the large model costs with so many tokens of its prompt to be read first.

        In what it costs when they are read.
        """
        usual = experience.asking_ms or 4 * self.large.of(8)
        return 1 + self.large.of(missing) / usual if missing > TAIL else 1.0


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
