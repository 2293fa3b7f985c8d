"""The cost model and the choice that it makes, as tables."""

from __future__ import annotations

import pytest
from toy import ToyModel

from polydraft.completion.drafters import DRAFTERS
from polydraft.completion.drafters.auto import Auto, budget
from polydraft.completion.drafters.led_beam import LedBeam
from polydraft.completion.engine import Engine
from polydraft.completion.pass_costs import PassCosts
from polydraft.lsp_server.setting_rules import DRAFTERS as NAMES

FREE = PassCosts({1: 10.0, 8: 10.0, 32: 12.0})  # an idle GPU
DEAR = PassCosts({1: 10.0, 2: 20.0, 8: 80.0})  # rows cost what passes cost
CPU = PassCosts({1: 10.0, 2: 10.5, 3: 11.0, 4: 12.0, 8: 17.0, 32: 60.0})


def test_settings_know_every_method() -> None:
    assert set(NAMES) == set(DRAFTERS)


@pytest.mark.parametrize(
    ("costs", "tokens", "ms"),
    [(CPU, 1, 10.0), (CPU, 6, 14.5), (CPU, 8, 17.0), (CPU, 56, 103.0), (FREE, 4, 10.0)],
)
def test_costs_lie_on_lines_through_what_was_measured(
    costs: PassCosts, tokens: int, ms: float
) -> None:
    assert costs.of(tokens) == pytest.approx(ms)
    assert costs.relative(tokens) == pytest.approx(ms / 10)


def test_one_measurement_counts_for_each_token() -> None:
    assert PassCosts({1: 5.0}).of(4) == 20.0


@pytest.mark.parametrize("ms", [{}, {2: 1.0}, {1: 0.0}, {1: 1.0, 3: 2.0, 2: 1.0}])
def test_costs_that_cannot_be_are_refused(ms: dict[int, float]) -> None:
    with pytest.raises(ValueError):
        PassCosts(ms)


@pytest.mark.parametrize("costs", [FREE, CPU, DEAR, None])
def test_many_drafts_take_no_more_passes_than_the_greedy_one_alone(costs: PassCosts | None) -> None:
    few, many = (Auto(costs).plan(k).drafter for k in (3, 8))
    assert isinstance(few, LedBeam) and isinstance(many, LedBeam)
    assert many.patience == 1.0 < few.patience


@pytest.mark.parametrize(
    ("costs", "k", "waiting", "method", "width"),
    [
        (FREE, 1, 0, "greedy-ahead", None),
        (FREE, 3, 0, "led-beam", 3),
        (FREE, 8, 0, "led-beam", 8),
        (CPU, 3, 0, "led-beam", 3),
        (CPU, 8, 0, "led-beam", 7),
        (DEAR, 3, 0, "led-beam", 3),
        (DEAR, 8, 0, "led-beam", 3),
        (DEAR, 2, 0, "led-beam", 2),
        (FREE, 8, 5, "led-beam", 8),  # rows that cost nothing keep nobody waiting
        (CPU, 3, 5, "led-beam", 3),
        (CPU, 8, 1, "superposed-plain", None),
        (DEAR, 3, 1, "superposed-plain", None),
        (None, 3, 0, "led-beam", None),
    ],
)
def test_the_method_follows_from_costs_and_load(
    costs: PassCosts | None, k: int, waiting: int, method: str, width: int | None
) -> None:
    plan = Auto(costs).plan(k, waiting)
    assert plan.drafter.name == method
    assert plan.why
    if isinstance(plan.drafter, LedBeam):
        assert plan.drafter.width == width


def test_more_drafts_may_cost_more() -> None:
    assert budget(2) < budget(3) < budget(8)


def test_a_request_that_names_a_method_gets_it() -> None:
    engine = Engine(ToyModel(), Auto(DEAR))
    assert engine.plan("beam", 3, waiting=4).drafter.name == "beam"
    assert engine.plan("auto", 3, waiting=4).drafter.name == "superposed-plain"
