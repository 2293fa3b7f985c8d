"""Runs that stand for many policies, against a run for each of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pair import FLAT, draft, models

from polydraft.completion.engine import Engine
from polydraft.completion.pair import PairEngine
from polydraft.completion.switching import Thresholds, policy_of
from polydraft.completion.switching.chance import Chance
from polydraft.completion.switching.lockstep import Lockstep
from polydraft.completion.types import Origin

GRIDS = {
    "bild": [{"rollback": r, "gate": g} for r in (0.0, 0.5, 1.0, 2.0) for g in (0.0, 2.5, 3.0)],
    "cascade": [{"deferral": a, "gate": g} for a in (0.0, 0.3, 1.0) for g in (0.0, 2.5)],
    "ead": [
        {"entropy": e, "entropy_return": e / 2, "stay": s} for e in (1.0, 2.0, 3.0) for s in (1, 3)
    ],
}


def policies(name: str):
    found = {str(values): policy_of(name, Thresholds(**values)) for values in GRIDS[name]}
    checks = next(iter(found.values())).checks
    found |= {f"random {rate}": Chance(rate, checks) for rate in (0.2, 0.6)}
    return found | {"small": policy_of("small"), "large": policy_of("large")}


@pytest.mark.parametrize("name", GRIDS)
@settings(max_examples=12, deadline=None)
@given(
    prompt=st.lists(st.integers(1, 23), min_size=1, max_size=12),
    seed=st.integers(0, 5),
    noise=st.floats(0, 1.5),
)
def test_a_run_stands_for_exactly_those_who_would_have_had_the_same(name, prompt, seed, noise):
    small, large = models(noise, seed)
    every = policies(name)
    lockstep = Lockstep(every)

    def first(policy):
        """The ids and who wrote how many, by engines that remember nothing."""
        rows = draft(PairEngine(Engine(small), Engine(large), policy, FLAT), prompt, k=1).rows
        return rows and (rows[0].ids, rows[0].origins.count(Origin.LARGE))

    left = set(every)
    while left:
        lockstep.begin(min(left))
        found = first(lockstep)
        assert lockstep.same & left
        for each in lockstep.same & left:
            assert first(every[each]) == found, each
        left -= lockstep.same
