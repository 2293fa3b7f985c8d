"""What a drafter is asked for, and the one protocol that all methods share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from polydraft.completion.guessers.ahead import Ahead
from polydraft.completion.ngram import NGrams
from polydraft.completion.rows import Ends, Row
from polydraft.completion.tree import DraftTree
from polydraft.completion.types import Finish
from polydraft.completion.watch import Watch

Key = Callable[[Sequence[int], Finish], str | None]


@dataclass(frozen=True, slots=True)
class Task:
    """k drafts behind one prompt.

    `key` gives what a draft looks like to the user (None: nothing worth showing); drafts with equal
    keys are one. `on_row` hears of each row as it finishes.
    """

    k: int
    ends: Ends
    key: Key
    on_row: Callable[[Row], None]
    ngrams: NGrams
    first: tuple[int, ...] | None = None  # the only first tokens allowed (`healing.py`)
    ahead: Ahead = field(default_factory=Ahead)  # what rows run ahead through
    watch: Watch = field(default_factory=Watch)  # what the monitors say of the drafts
    on_rows: Callable[[Sequence[Row]], None] = lambda rows: None  # before a large model judges them

    def restrict(self, logits: torch.Tensor) -> torch.Tensor:
        """logits [V] behind the prompt, with only the allowed first tokens left."""
        if self.first is not None:
            allowed = torch.tensor(self.first)
            logits = torch.full_like(logits, -torch.inf).index_copy(0, allowed, logits[allowed])
        return self.watch.constrain([()], logits[None])[0]


class Drafter(Protocol):
    """A method that finds k drafts."""

    @property
    def name(self) -> str: ...

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        """Finished rows, distinct under `task.key`, at most k.

        logits [V] are the exact model's behind the prompt, already restricted. Every pass goes
        through `tree.feed`, so `Cancelled` comes out of it within one pass; when time runs out
        the rows end where they are, with `Finish.DEADLINE`.
        """
