"""Reads a directory of safetensors with transformers' classes, and says what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from polydraft.models.errors import ModelError

T = TypeVar("T")
EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"
_PLAIN = ("BF16", "F16", "F32")


def read_config(directory: Path) -> Any:
    """transformers' configuration. Raises `ModelError` if it cannot be read."""
    return _read(directory, lambda: AutoConfig.from_pretrained(directory, trust_remote_code=False))


def read_module(directory: Path, dtype: torch.dtype) -> Any:
    """The `…ForCausalLM` with its weights in `dtype`. Raises `ModelError` if they do not load."""
    config = read_config(directory)
    return _read(
        directory,
        lambda: AutoModelForCausalLM.from_pretrained(
            directory,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        ),
    )


def empty_module(directory: Path) -> Any:
    """The `…ForCausalLM` without its weights, on the device `meta`: shapes alone, in no memory.

    Raises `ModelError` if the configuration cannot be read or is of no known architecture.
    """
    config = read_config(directory)

    def build() -> Any:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=False)

    return _read(directory, build)


def read_parameters(directory: Path) -> Mapping[str, torch.Tensor]:
    """The parameters that `read_module` has in bfloat16, each read when it is asked for.

    A mapped parameter takes memory only as long as it is held. Where the files do not simply hold
    the parameters by their names, the module is read as a whole. Raises `ModelError`, then too.
    """
    module, config = empty_module(directory), read_config(directory)
    shapes = {name: list(p.shape) for name, p in _parameters(module).items()}
    files = _read(directory, lambda: _plain_tensors(directory))
    names = {name: name for name in shapes}
    tied = config.get_text_config().tie_word_embeddings
    if tied and HEAD not in files:
        names[HEAD] = EMBEDDING
    plain = getattr(config, "quantization_config", None) is None and not (tied and HEAD in files)
    if plain and all(n in files and files[n][1] == shapes[name] for name, n in names.items()):
        return _OneByOne(directory, {name: (files[n][0], n) for name, n in names.items()})
    return _parameters(read_module(directory, torch.bfloat16))


class _OneByOne(Mapping[str, torch.Tensor]):
    """Opens a file for each tensor: its pages are let go with the tensor."""

    def __init__(self, directory: Path, places: Mapping[str, tuple[Path, str]]) -> None:
        self._directory = directory
        self._places = places  # by name: the file, and the name there

    def __getitem__(self, name: str) -> torch.Tensor:
        path, name_there = self._places[name]

        def read() -> torch.Tensor:
            with safe_open(path, framework="pt") as file:
                found: torch.Tensor = file.get_tensor(name_there).to(torch.bfloat16)
                return found

        return _read(self._directory, read)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _parameters(module: Any) -> dict[str, torch.Tensor]:
    """By name, tied ones under each of theirs."""
    return dict(module.named_parameters(remove_duplicate=False))


def _plain_tensors(directory: Path) -> dict[str, tuple[Path, list[int]]]:
    """File and shape of each tensor of plain numbers, in the files that transformers reads."""
    if (directory / SAFE_WEIGHTS_NAME).is_file():
        paths = [directory / SAFE_WEIGHTS_NAME]
    elif (index := directory / SAFE_WEIGHTS_INDEX_NAME).is_file():
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        paths = [directory / name for name in sorted(set(names))]
    else:
        return {}
    found: dict[str, tuple[Path, list[int]]] = {}
    for path in paths:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                part = file.get_slice(name)
                if part.get_dtype() in _PLAIN:
                    found[name] = (path, list(part.get_shape()))
    return found


def read_embedding(directory: Path) -> torch.Tensor:
    """The input embeddings [V, D] as stored; mapped, not copied. Raises `ModelError`."""

    def read() -> torch.Tensor:
        for path in sorted(directory.glob("*.safetensors")):
            with safe_open(path, framework="pt") as file:
                if EMBEDDING in file.keys():  # noqa: SIM118 - not a mapping
                    found: torch.Tensor = file.get_tensor(EMBEDDING)
                    return found
        raise KeyError(f"no tensor {EMBEDDING}")

    return _read(directory, read)


def _read(directory: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(
            f"The model in {directory} cannot be loaded: {error}. If it is damaged, fetch it anew"
            " with `polydraft models pull NAME --force`."
        ) from error
    except Exception as error:  # safetensors raises an error type of its own
        if type(error).__module__.split(".")[0] != "safetensors":
            raise
        raise ModelError(
            f"The weights in {directory} are damaged ({error}). Fetch them anew with"
            " `polydraft models pull NAME --force`."
        ) from error
