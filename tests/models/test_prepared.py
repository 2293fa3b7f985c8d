"""Rounded weights that are kept: the same layers again, and never from a stale or damaged file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from polydraft.models.costs import available_formats
from polydraft.models.prepared import use_int8

pytestmark = pytest.mark.skipif(
    "int8" not in available_formats(), reason="no int8 kernel on this processor"
)


def module(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16, bias=False))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    directory = tmp_path / "weights"
    directory.mkdir()
    save_file({"w": torch.zeros(1)}, directory / "model.safetensors")
    return directory


def answer(directory: Path, cache: Path, seed: int = 0) -> torch.Tensor:
    layers = module(seed)
    use_int8(layers, directory, cache)
    return layers(torch.linspace(-1, 1, 64)[None])


def test_a_second_load_gives_the_same_layers_from_the_kept_file(weights, tmp_path):
    first = answer(weights, tmp_path)
    # Other weights in memory show that the second load took the kept levels (biases come along).
    torch.manual_seed(1)
    again = nn.Sequential(*module().children())
    with torch.no_grad():
        again[2].weight.zero_()
    use_int8(again, weights, tmp_path)
    assert torch.equal(again(torch.linspace(-1, 1, 64)[None]), first)


def test_changed_weight_files_are_rounded_anew(weights, tmp_path):
    first = answer(weights, tmp_path)
    save_file({"w": torch.zeros(2)}, weights / "model.safetensors")
    assert not torch.equal(answer(weights, tmp_path, seed=1), first)


def test_a_damaged_file_is_made_anew(weights, tmp_path):
    first = answer(weights, tmp_path)
    (kept,) = (tmp_path / "prepared").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert torch.equal(answer(weights, tmp_path), first)
    assert kept.stat().st_size > 1000


def test_an_unwritable_cache_is_no_error(weights, tmp_path):
    (tmp_path / "prepared").write_text("in the way")
    assert answer(weights, tmp_path).shape == (1, 16)
