"""Reads a directory of safetensors with transformers' classes, and says what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM

from polydraft.models.errors import ModelError

T = TypeVar("T")
EMBEDDING = "model.embed_tokens.weight"


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
