"""Chooses the method by what passes cost on this device and by who else waits for it.

The led beam found the best drafts in every comparison (docs/measurements.md); what is left to
choose is how many rows it runs in a pass, since rows are nearly free on one device and dear on the
next. Where others wait, each row of this request is time of theirs: then superposition, whose k
drafts cost one row, is taken as soon as rows cost anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from polydraft.completion.drafters.greedy import MOST_GUESSES, Greedy
from polydraft.completion.drafters.led_beam import LedBeam
from polydraft.completion.drafters.plain import PlainSuperposed
from polydraft.completion.drafters.task import Drafter, Task
from polydraft.completion.pass_costs import PassCosts
from polydraft.completion.rows import Row
from polydraft.completion.tree import DraftTree

LEAST_WIDTH = 3  # rows: with two of them, three drafts were seldom found (docs/measurements.md)
MANY = 5  # drafts: the last ones of so many are not worth waiting for longer than greedy takes
FREE = 1.1  # passes over one token: k rows that cost no more than this cost others nothing


@dataclass(frozen=True, slots=True)
class Plan:
    """A method and, for people, why it was chosen."""

    drafter: Drafter
    why: str


@dataclass(frozen=True, slots=True)
class Auto:
    """`costs` as measured when the model was loaded; None: unknown, rows count as free."""

    costs: PassCosts | None = None
    name: ClassVar[str] = "auto"

    def plan(self, k: int, waiting: int = 0) -> Plan:
        """The method for k drafts while `waiting` other requests wait for the device."""
        if k == 1:
            return Plan(Greedy("greedy-ahead", MOST_GUESSES), "one draft")
        led = LedBeam(patience=1.0) if k >= MANY else LedBeam()
        if self.costs is None:
            return Plan(led, "passes were not measured")
        rows = self.costs.relative(k)
        if waiting and rows > FREE:
            return Plan(
                PlainSuperposed(),
                f"{waiting} waiting, and a pass over {k} rows costs {rows:.2f} x one",
            )
        least = min(k, LEAST_WIDTH)
        width = max(
            (
                width
                for width in range(least, k + 1)
                if self.costs.relative(width + led.guesses) <= budget(k)
            ),
            default=least,
        )
        cost = self.costs.relative(width)
        why = f"a pass over {width} rows costs {cost:.2f} x one"
        return Plan(replace(led, width=width), why)

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        return self.plan(task.k).drafter.draft(tree, logits, task)


def budget(k: int) -> float:
    """What a pass may cost for k drafts, in passes over one token."""
    return 1.2 + 0.1 * k
