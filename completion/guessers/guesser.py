"""Who guesses the next tokens, and what is kept of how often that was right.

A guess costs little or nothing. Fed along with the pending token, its tokens are checked in the
same pass of the exact model and kept as far as they are its own choice (`rows.accept`), so a
guesser changes how long a draft takes, and nothing else.

Glossary
    pending   the last token of a row: chosen, not yet fed
    kind      what guesses of equal chances have in common, e.g. how they were found
"""

from __future__ import annotations

from collections.abc import Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from polydraft.completion.rows import Choice, Row
from polydraft.completion.tree import DraftTree

Kind = Hashable

_RATE = 0.02  # of the exponential means: they look back over some 50 guesses
_HELD = 4  # guesses that a first estimate counts for
_UNKNOWN = 0.5  # a first estimate of a kind that has none
_AGAIN = 32  # times that guessing did not pay, after which it is tried nevertheless


class Proposal(NamedTuple):
    """One more token. `confidence`: the guesser's own probability; None: as its kind fared."""

    token: int
    kind: Kind
    confidence: float | None = None


Proposals = Generator[Proposal, None, None]


class Guesser(Protocol):
    """Proposes tokens one by one; whoever asks stops when more would not pay."""

    @property
    def name(self) -> str: ...

    @property
    def step_ms(self) -> float:
        """What it costs to propose a token; 0 where it is only looked up."""

    def propose(self, tree: DraftTree, row: Row) -> Proposals:
        """What may follow the row's pending token, token by token.

        The model may be run through `tree`, whose slots are as before when this is closed.
        """

    def learn(self, fed: Sequence[int], said: Sequence[Choice]) -> None:
        """Hear what the exact model said behind each token of a row that was fed in a pass."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Tokens to check behind a row's pending one, the first of a guesser's proposals."""

    tokens: tuple[int, ...] = ()
    kinds: tuple[Kind, ...] = ()  # of as many tokens as came from a guesser

    def first(self, count: int) -> Guess:
        """The guess with at most `count` tokens."""
        return Guess(self.tokens[:count], self.kinds[:count])


def kept(guess: Sequence[int], said: Sequence[Choice]) -> int:
    """How many tokens of a guess are the exact model's own; said[i] is its choice for token i."""
    for i, token in enumerate(guess):
        if not said[i].tokens or said[i].tokens[0] != token:
            return i
    return len(guess)


class Acceptance:
    """How often guesses of each kind were right, as exponential means."""

    def __init__(self, first: Mapping[Kind, float] | None = None) -> None:
        self._means: dict[Kind, float] = dict(first or {})
        self._counts: dict[Kind, int] = {}
        self._declined = 0

    def of(self, kind: Kind) -> float:
        return self._means.get(kind, _UNKNOWN)

    def hear(self, kinds: Sequence[Kind], right: int) -> None:
        """The first `right` guesses of these kinds were right, the next one was not, and of those
        behind it nothing is known."""
        for i, kind in enumerate(kinds[: right + 1]):
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
            weight = max(_RATE, 1 / (count + _HELD))
            self._means[kind] = self.of(kind) + weight * ((i < right) - self.of(kind))

    def tries_again(self) -> int:
        """1 now and then, else 0: one guess for all that it does not pay by these figures.

        They would never be heard of again otherwise, and texts and machines change.
        """
        self._declined += 1
        return int(self._declined % _AGAIN == 0)
