"""One model does all: the two ends between which the other policies lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polydraft.completion.rows import Choice
from polydraft.completion.switching.policy import Reason, differs


@dataclass(frozen=True, slots=True)
class Small:
    """The large model is never asked."""

    name: str = "small"
    checks: bool = False

    def hands_over(self, small: Sequence[Choice]) -> Reason | None:
        return None

    def looks(self, small: Sequence[Choice], price: float = 1.0) -> Reason | None:
        return None

    def rejects(
        self, token: int, small: Choice | None, large: Choice, loss: float
    ) -> Reason | None:
        return None

    def hands_back(self, large: Sequence[Choice]) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Large:
    """The small model is never asked; the engine drafts with the large one."""

    name: str = "large"
    checks: bool = True

    def hands_over(self, small: Sequence[Choice]) -> Reason | None:
        return Reason("everything is the large model's", 1.0, 1.0)

    def looks(self, small: Sequence[Choice], price: float = 1.0) -> Reason | None:
        return Reason("everything is the large model's", 1.0, 1.0)

    def rejects(
        self, token: int, small: Choice | None, large: Choice, loss: float
    ) -> Reason | None:
        return differs(token, large, loss)

    def hands_back(self, large: Sequence[Choice]) -> bool:
        return False
