"""What every switching policy answers, and the reasons it gives."""

from __future__ import annotations

import math
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

    def looks(self, small: Sequence[Choice], price: float = 1.0) -> Reason | None:
        """Whether the large model is asked about a finished draft of the small one's, or its rest.

        price: what asking costs now, in what it costs usually; much where its prompt is to be read.
        """

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


def surprising(small: Sequence[Choice], gate: float, price: float) -> Reason | None:
    """The surprisal -log p of a draft of best tokens (nats), if it reaches `gate`.

    The draft has to be as many times less probable as asking is dearer than usual.
    """
    surprisal = -sum(choice.logprobs[0] for choice in small)
    gate += math.log(max(1.0, price)) if gate else 0.0
    return Reason("surprisal of the draft (nats)", surprisal, gate) if surprisal >= gate else None
