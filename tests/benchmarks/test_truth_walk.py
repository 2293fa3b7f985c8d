from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import cast

import pytest
import torch

from benchmarks.timed_monitors import Timed
from benchmarks.truth_walk import walk
from polydraft.completion.monitor import FREE, Constraint, Evidence, Likely, Mask, State
from polydraft.completion.protocols import Tokenizer
from polydraft.completion.types import Request

SIZE = 8
EVIDENCE = Evidence("toy", "by hand", "open", 2)


@dataclass
class Toy:
    """Says in each state, a number of tokens, what the table has; late the first `late` times."""

    says: dict[int, tuple[Mask, ...]]
    late: int = 0
    name: str = "toy"
    foreseen: list[State] = field(default_factory=list)

    def begin(self) -> State:
        return 0

    def observe(self, state: State, token: int) -> State:
        assert isinstance(state, int)
        return state + 1

    def foresee(self, state: State) -> None:
        self.foreseen.append(state)

    def constrain(self, state: State, likely: Likely) -> Constraint:
        assert isinstance(state, int)
        masks = self.says.get(state, ())
        if masks and self.late:
            self.late -= 1
            return Constraint((), late=True)
        return Constraint(masks) if masks else FREE

    def monitor(self, *_: object) -> Toy:
        return self


def allowed(*tokens: int, penalty: float = math.inf, banned: bool = False) -> Mask:
    return Mask(torch.tensor(tokens), penalty, banned, EVIDENCE)


@pytest.mark.parametrize(
    ("says", "losses"),
    [
        ({}, []),
        ({0: (allowed(1, 2),)}, []),
        ({0: (allowed(2, 3),)}, [(0, math.inf)]),
        ({1: (allowed(2, banned=True),)}, [(1, math.inf)]),
        ({1: (allowed(1, banned=True),)}, []),
        ({1: (allowed(1, penalty=2.0),), 2: (allowed(7),)}, [(1, 2.0), (2, math.inf)]),
        ({1: (allowed(1, penalty=2.0), allowed(3, penalty=1.5))}, [(1, 3.5)]),
        ({1: (allowed(1), allowed(3))}, []),  # they contradict each other: none holds
        ({3: (allowed(7),)}, []),  # behind the truth
    ],
)
def test_where_the_truth_loses(
    says: dict[int, tuple[Mask, ...]], losses: list[tuple[int, float]]
) -> None:
    walked = walk(Toy(says), [1, 2, 3], SIZE)
    assert [(loss.at, loss.penalty) for loss in walked.losses] == losses
    assert walked.excluded is any(penalty == math.inf for _, penalty in losses)
    assert all(loss.evidence == EVIDENCE for loss in walked.losses)
    assert walked.constrained == sum(at < 3 for at in says)


def test_an_answer_that_comes_late_excludes_as_well() -> None:
    walked = walk(Toy({1: (allowed(7),)}, late=2), [1, 2, 3], SIZE)
    assert walked.excluded and walked.late == 1
    assert not walk(Toy({1: (allowed(7),)}, late=99), [1, 2, 3], SIZE, patience=0.1).excluded


def test_a_loss_is_written_down_without_infinities() -> None:
    (loss,) = walk(Toy({0: (allowed(7),)}), [1], SIZE).losses
    assert loss.record() == {
        "at": 0, "token": 1, "hard": True, "penalty": None, "monitor": "toy",
        "analyser": "by hand", "grade": "open", "names": 2,
    }  # fmt: skip


@pytest.mark.parametrize("foresees", [True, False])
def test_the_stopwatch_counts_what_is_constrained_and_can_hold_foresight_back(
    foresees: bool,
) -> None:
    toy = Toy({1: (allowed(7),), 2: (allowed(7),)}, late=1)
    timed = Timed(toy, foresees)
    monitor = timed.monitor(Request("", ""), cast(Tokenizer, None), "a.", lambda: None)
    assert monitor is not None and monitor.name == "toy" and timed.held_back == "a."
    for state in range(4):
        monitor.foresee(state)
        monitor.constrain(state, lambda: ())
    assert monitor.observe(monitor.begin(), 5) == 1
    assert len(timed.constrained_ms) == 2 and timed.late == 1
    assert timed.total_s >= sum(timed.constrained_ms) / 1000
    assert toy.foreseen == (list(range(4)) if foresees else [])
