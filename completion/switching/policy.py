"""What every switching policy answers, and the reasons it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from polydraft.completion.rows import Choice


@dataclass(frozen=True, slots=True)
class Reason:
    """A statistic that passed its threshold, e.g. "rolling entropy (bits)" 2.31 over 1.5."""

    statistic: str
    value: float
    threshold: float


class Policy(Protocol):
    """Pure functions over what the two models say; a policy holds thresholds, never state."""

    @property
    def name(self) -> str: ...

    @property
    def checks(self) -> bool:
        """Whether the large model judges every token that the small one wrote."""

    def hands_over(self, small: Sequence[Choice]) -> Reason | None:
        """Whether the large model is to write the token for which the last of these choices stands.

        small: the small model's choices since the last switch, oldest first.
        """

    def looks(self, small: Sequence[Choice]) -> Reason | None:
        """Whether the large model is asked at all about a draft that the small one has finished."""

    def rejects(
        self, token: int, small: Choice | None, large: Choice, loss: float
    ) -> Reason | None:
        """Whether the large model replaces a token, and why.

        small: what the small model said there (None: the token is somebody else's guess); loss:
        the large model's -log p(token), nats.
        """

    def hands_back(self, large: Sequence[Choice]) -> bool:
        """Whether the large model stops; large: its choices since it took over, oldest first."""


def first_hand_over(
    hands_over: Callable[[Sequence[Choice]], Reason | None], small: Sequence[Choice]
) -> tuple[int, Reason] | None:
    """The first of these tokens that would have been handed over, and why."""
    for at in range(len(small)):
        reason = hands_over(small[: at + 1])
        if reason is not None:
            return at, reason
    return None


def differs(token: int, large: Choice, loss: float) -> Reason | None:
    """The rejection of a token that is not the large model's own best."""
    return None if token == large.tokens[0] else Reason("loss (nats)", loss, -large.logprobs[0])


def peak(small: Sequence[Choice], gate: float) -> Reason | None:
    """The largest entropy (bits) of a draft, if it reaches `gate`."""
    highest = max((choice.entropy for choice in small), default=0.0)
    return Reason("peak entropy (bits)", highest, gate) if highest >= gate else None
