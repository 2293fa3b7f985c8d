"""The first load rounds weight by weight, and makes what rounding the whole module would."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import tiny_model, write_tiny_directory

from polydraft.models import checkpoint
from polydraft.models.checkpoint import read_module, read_parameters
from polydraft.models.errors import ModelError
from polydraft.models.native_support import processor_serves

if not processor_serves():
    pytest.skip("this processor lacks the kernels' instructions", allow_module_level=True)

from polydraft.models import native
from polydraft.models.native import native_tensors, native_weights, rounded
from polydraft.models.native_load import native_model

SERVED = ("qwen2.5-coder", "starcoder2", "granite-code", "smollm2")  # the last two are tied


def whole(directory: Path) -> dict[str, torch.Tensor]:
    return native_tensors(read_module(directory, torch.bfloat16))


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a module as a whole is an error."""

    def refuse(*_: object) -> None:
        raise AssertionError("the whole module was read")

    monkeypatch.setattr(checkpoint, "read_module", refuse)


@pytest.mark.parametrize("family", SERVED)
def test_weights_read_one_by_one_are_rounded_as_those_of_the_module(
    family: str, tmp_path: Path, no_module: None
) -> None:
    directory = write_tiny_directory(family, tmp_path / "model")
    same(native_weights(read_parameters(directory)), whole(directory))


def test_files_that_share_the_weights_are_all_read(tmp_path: Path, no_module: None) -> None:
    tiny_model("qwen2.5-coder", 60).save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    same(native_weights(read_parameters(tmp_path)), whole(tmp_path))


def test_a_checkpoint_that_has_other_names_is_left_to_transformers(tmp_path: Path) -> None:
    directory = write_tiny_directory("codellama", tmp_path / "model")
    file = directory / "model.safetensors"
    before = whole(directory)
    tensors = {name.removeprefix("model."): each for name, each in load_file(file).items()}
    save_file(tensors, file, {"format": "pt"})
    assert isinstance(read_parameters(directory), dict)
    same(native_weights(read_parameters(directory)), before)


def test_a_tied_head_that_has_weights_of_its_own_is_left_to_transformers(tmp_path: Path) -> None:
    directory = write_tiny_directory("smollm2", tmp_path / "model")
    file = directory / "model.safetensors"
    tensors = load_file(file)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"] + 1
    save_file(tensors, file, {"format": "pt"})
    same(native_weights(read_parameters(directory)), whole(directory))


def test_a_damaged_file_is_a_model_error(tmp_path: Path) -> None:
    directory = write_tiny_directory("codellama", tmp_path / "model")
    file = directory / "model.safetensors"
    parameters = read_parameters(directory)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match="damaged"):
        native_weights(parameters)
    with pytest.raises(ModelError, match="damaged"):
        read_parameters(directory)


class Watched(Mapping[str, torch.Tensor]):
    """Copies of parameters; `most` is how many values of them were held at a time."""

    def __init__(self, parameters: Mapping[str, torch.Tensor]) -> None:
        self._parameters = parameters
        self._given: list[weakref.ref[torch.Tensor]] = []
        self.most = 0

    def __getitem__(self, name: str) -> torch.Tensor:
        copy = self._parameters[name].clone()
        self._given.append(weakref.ref(copy))
        alive = [each for given in self._given if (each := given()) is not None]
        self.most = max(self.most, sum(each.numel() for each in alive))
        return copy

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)


def test_no_more_than_the_largest_weight_is_held_beside_the_result() -> None:
    module = tiny_model("qwen2.5-coder", 1000)
    parameters = Watched(dict(module.named_parameters()))
    same(native_weights(parameters), native_tensors(module))
    assert parameters.most == module.lm_head.weight.numel()


@pytest.mark.parametrize("piece", [1, 100, 4096])
def test_rounding_in_pieces_makes_no_difference(
    monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    torch.manual_seed(0)
    linears = [
        (torch.randn(n, 48, dtype=torch.bfloat16), torch.randn(n) if n % 2 else None)
        for n in (7, 30, 4, 10)
    ]
    levels, scale, bias = rounded(linears)
    rows = levels.transpose(1, 2).flatten(0, 1).flatten(1)[:51].float() * scale[:51, None]
    exact = torch.cat([weight.float() for weight, _ in linears])
    assert ((rows - exact).abs() <= scale[:51, None] / 2 + 1e-6).all()
    assert not levels.transpose(1, 2).flatten(0, 1)[51:].any()
    assert bias[51:].tolist() == [0.0]
    monkeypatch.setattr(native, "PIECE", piece)
    assert all(map(torch.equal, rounded(linears), (levels, scale, bias)))


def test_a_first_load_leaves_the_model_mapped_from_the_file_that_it_made(tmp_path: Path) -> None:
    directory = write_tiny_directory("codellama", tmp_path / "model")
    model = native_model(directory, 300, tmp_path)
    (kept,) = (tmp_path / "prepared").iterdir()
    same(load_file(kept), whole(directory))
    same(model._held, whole(directory))
    if (maps := Path("/proc/self/maps")).is_file():
        assert kept.name in maps.read_text(encoding="utf-8")
