"""What passes cost in each weight format, and which format is chosen by that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from polydraft.models import costs
from polydraft.models.costs import FormatCost, available_formats, fastest, remembered, shared
from polydraft.models.pass_costs import more_prompt, step, timed, with_prompt
from polydraft.models.sample_model import sample_model, sample_module
from polydraft.models.threads import available, limit_torch


def test_the_rest_of_a_pass_is_not_shared_by_threads() -> None:
    cost = shared((10.0, 12.0, 40.0), (2.0, 2.0, 4.0), threads=2)
    assert (cost.one_row, cost.step, cost.prefill) == (6.0, 7.0, 22.0)
    assert shared((10.0, 12.0, 40.0), (2.0, 2.0, 4.0), threads=1) == FormatCost(10.0, 12.0, 40.0)
    assert shared((1.0,) * 3, (2.0,) * 3, threads=4) == FormatCost(2.0, 2.0, 2.0)


def test_the_native_pass_wins_where_others_have_the_better_products() -> None:
    """As timed on an EPYC with VNNI, where the 0.5B model's own passes took 20 and 32 ms."""
    native = shared((3.51, 4.32, 59.1), beside=(0.19, 0.26, 3.0), threads=2)
    int8 = shared((5.03, 5.3, 36.66), beside=(1.08, 1.21, 3.9), threads=2)
    assert fastest({"int8": int8, "w8a16": native}) == "w8a16"


def test_a_format_that_loses_accuracy_is_not_chosen() -> None:
    cheap, dear = FormatCost(1.0, 1.0, 1.0), FormatCost(9.0, 9.0, 9.0)
    assert fastest({"int4w": cheap, "f32": dear}) == "f32"


@pytest.fixture
def threads_back() -> Iterator[None]:
    yield
    limit_torch(available())


@pytest.mark.usefixtures("threads_back")
@pytest.mark.parametrize("name", available_formats())
def test_the_sample_runs_in_every_format_on_one_thread(name: str) -> None:
    model = sample_model(sample_module(narrow=True), name, threads=1)
    cache = with_prompt(model)
    held = cache.length
    for feed, logits in ((step(3), 3), (more_prompt(64), 1)):
        assert model.forward(cache, feed).shape == (logits, 64)
        cache.crop(held)
        assert timed(model, cache, feed) > 0
        assert cache.length == held
    assert torch.get_num_threads() == 1


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[FormatCost]:
    """What each call of `measure` found; it measures nothing."""
    found: list[FormatCost] = []

    def measure() -> dict[str, FormatCost]:
        found.append(FormatCost(1.0, 2.0, 3.0 + len(found)))
        return {"f32": found[-1]}

    monkeypatch.setattr(costs, "measure", measure)
    return found


def test_formats_are_measured_once(tmp_path: Path, measured: list[FormatCost]) -> None:
    first = remembered(tmp_path)
    assert remembered(tmp_path) == first == {"f32": measured[0]}
    assert len(measured) == 1


@pytest.mark.parametrize("key", ["processor", "torch", "threads", "measured"])
def test_what_was_measured_otherwise_is_measured_again(
    tmp_path: Path, measured: list[FormatCost], key: str
) -> None:
    remembered(tmp_path)
    file = tmp_path / "kernels.json"
    stored = json.loads(file.read_text())
    stored["machine"][key] = "16 layers, 64 rows"
    file.write_text(json.dumps(stored))
    assert remembered(tmp_path) == {"f32": measured[1]}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"machine": 1}'])
def test_a_damaged_file_counts_as_none(
    tmp_path: Path, measured: list[FormatCost], text: str
) -> None:
    (tmp_path / "kernels.json").write_text(text)
    assert remembered(tmp_path) == {"f32": measured[0]}
