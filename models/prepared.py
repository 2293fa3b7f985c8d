"""int8 weights of a model, rounded once and kept, so that a warm load skips the rounding.

    <cache>/prepared/KEY.safetensors    NAME.levels [N, K] int8 and NAME.scale [N] of each layer

The key covers the model's directory, the size and time of its weight files and the levels that this
processor's kernel can take, so a stale file is never read; a damaged one is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from polydraft.models.quantize import (
    Int8Linear,
    bias_of,
    int8_levels,
    int8_top_level,
    replace_linears,
)

NATIVE_LAYOUT = "w8a16 1"  # to be changed with the layout of `native.native_weights`
logger = logging.getLogger(__name__)


def use_int8(module: nn.Module, directory: Path, cache_dir: Path) -> None:
    """Replace the linear layers of `module`, which was read from `directory`, by int8 ones."""
    # int8_top_level also takes torch's one warning about these tensors, before threads start.
    path = prepared_path(directory, cache_dir, int8_layout())
    if path.is_file():
        try:
            _replace_from(module, path)
            return
        except (SafetensorError, OSError, KeyError) as error:
            logger.warning("%s is damaged (%s); it is made anew", path, error)
    made: dict[str, torch.Tensor] = {}

    def pack(name: str, linear: nn.Linear) -> nn.Module:
        levels, scale = int8_levels(linear.weight.detach())
        made[f"{name}.levels"], made[f"{name}.scale"] = levels, scale
        return Int8Linear(levels, scale, bias_of(linear))

    replace_linears(module, pack)
    save(made, path)


def int8_layout() -> str:
    """The layout of int8 weights on this processor, for `prepared_path`."""
    return str(int8_top_level())


def _replace_from(module: nn.Module, path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        names = {n for n, m in module.named_modules() if isinstance(m, nn.Linear)}
        missing = {f"{n}.{part}" for n in names for part in ("levels", "scale")} - set(file.keys())
        if missing:
            raise KeyError(min(missing))
        replace_linears(
            module,
            lambda name, linear: Int8Linear(
                file.get_tensor(f"{name}.levels"), file.get_tensor(f"{name}.scale"), bias_of(linear)
            ),
        )


def save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write the file whole or not at all; without space the next load rounds again."""
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        logger.warning("The rounded weights could not be kept in %s: %s", path, error)
        with contextlib.suppress(OSError):
            partial.unlink()


def prepared_path(directory: Path, cache_dir: Path, layout: str) -> Path:
    """Where the rounded weights of the model in `directory` are kept, in one layout."""
    files = sorted(directory.glob("*.safetensors"))
    facts = [str(directory.resolve()), layout]
    facts += [f"{f.name} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in files]
    key = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:24]
    return cache_dir / "prepared" / f"{key}.safetensors"
