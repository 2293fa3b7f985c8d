"""What is measured of a loaded model, and what is left of it for `polydraft doctor`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import write_tiny_directory

from polydraft.completion.pass_costs import MEASURED, PassCosts
from polydraft.completion.protocols import Feed
from polydraft.models.load import load_model
from polydraft.models.pass_costs import measure, remember, remembered
from polydraft.models.registry import load_registry


def test_loading_a_model_measures_its_passes_and_keeps_them(tmp_path: Path) -> None:
    directory = write_tiny_directory("qwen2.5-coder", tmp_path / "model", seed=1)
    spec = load_registry().get("qwen2.5-coder-0.5b")
    loaded = load_model(spec, directory, device="cpu", weights="f32", cache_dir=tmp_path)
    assert tuple(loaded.passes.ms) == MEASURED
    assert remembered(tmp_path) == {"qwen2.5-coder-0.5b, cpu, f32": loaded.passes}


def test_measuring_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    directory = write_tiny_directory("qwen2.5-coder", tmp_path / "model", seed=1)
    spec = load_registry().get("qwen2.5-coder-0.5b")
    model = load_model(spec, directory, device="cpu", weights="f32", cache_dir=tmp_path).model

    def logits() -> torch.Tensor:
        ids = torch.arange(5)
        return model.forward(model.new_cache(), Feed(None, ids, ids, None))

    before = logits()
    measure(model)
    assert torch.equal(logits(), before)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"m": 3}', '{"m": {"x": 1}}', '{"m": {"2": 1}}'])
def test_a_damaged_file_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "passes.json").write_text(text)
    assert remembered(tmp_path) == {}
    remember(tmp_path, "n", PassCosts({1: 2.0, 3: 2.5}))
    assert remembered(tmp_path)["n"] == PassCosts({1: 2.0, 3: 2.5})
