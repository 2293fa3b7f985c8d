"""What a model takes in memory, before it is loaded, and how much there is.

On a CPU the process holds, beside what Python and torch take without a model:

    weights    linear layers in their format, embeddings, and the tokenizer's tables
    cache      key-value caches of the prompts that were completed last
    working    what loading holds for a while on top of the weights: the checkpoint in bfloat16,
               layers being fused, rounded and packed

The figures follow the code that loads (`load.py`, `native_load.py`, `prepared.py`, `lean.py`).
Mapped files count where every pass reads them; an embedding that is only looked up, a row at a
time, does not. A process that has rounded int8 weights itself keeps more than is counted until it
ends, since the allocator does not give all back. Not counted either: a checkpoint whose tensors
have other names than transformers' is read whole before it is rounded (`read_parameters`).
`make bench-memory` compares with reality; measured / estimated in MB for the 1.5b model
(docs/models.md has more):

                                while loading    in use, all caches full
    w8a16, rounded in the cache  1790 / 1717       2092 / 1981
    w8a16, to be rounded         2261 / 2243       2088 / 1981
    bf16                         6454 / 6372       6692 / 6637
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import torch
from torch import nn

from polydraft.completion.prefix_cache import CACHES
from polydraft.models import lean
from polydraft.models.cache_dir import cache_root
from polydraft.models.cgroup import memory_limit
from polydraft.models.checkpoint import empty_module, read_config
from polydraft.models.costs import NATIVE
from polydraft.models.kv_cache import GROWTH
from polydraft.models.native_support import PIECE
from polydraft.models.prepared import NATIVE_LAYOUT, int8_layout, prepared_path
from polydraft.models.quantize import GROUP
from polydraft.models.spec import ModelSpec

_TOKEN = 1100  # bytes of the tokenizer's tables for one token, merges included
_INT4 = 0.5 + 4 / GROUP  # bytes a weight: 4 bits, and scale and zero of its group in bf16


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that one model takes on its device."""

    weights: int
    cache: int
    working: int  # on top of the weights, while the model is loaded; no cache is there yet

    @property
    def total(self) -> int:
        """The most that it takes at any time."""
        return self.weights + max(self.cache, self.working)


def peak(needs: Iterable[Need]) -> int:
    """The most bytes that models of one device take, loaded one after the other and then kept.

    Every model's caches count from the time when it is there.
    """
    held, most = 0, 0
    for need in needs:
        most = max(most, held + need.total)
        held += need.weights + need.cache
    return most


def estimate(
    spec: ModelSpec,
    directory: Path | None,
    device: str,  # as `load.choose_device` says
    weights: str,  # on a CPU, one of `costs.FORMATS`, as `load.choose_weights` says
    context_tokens: int,  # prompt and drafts of one request
    *,
    cache_dir: Path | None = None,
) -> Need | None:
    """What the model takes; None if neither `directory` nor `spec` says how large it is.

    With a directory `total` is within 20 % of what was measured, from the number of parameters
    alone within a third of that. Raises `ModelError` if the configuration cannot be read.
    """
    if directory is not None:
        sizes = _sizes_of(directory)
    elif spec.parameters:
        sizes = _guessed(spec.parameters)
    else:
        return None
    slots = -(-context_tokens // GROWTH) * GROWTH
    if device != "cpu":
        # Two bytes a weight; the layers to be fused are there twice while they are.
        values = 2 * sizes.parameters
        return Need(values, 2 * CACHES * slots * sizes.slot, working=2 * sizes.fused)
    ready = directory is not None and _is_prepared(directory, weights, cache_dir or cache_root())
    held, most = _on_cpu(sizes, weights, ready)
    # Keys and values are float32 on a CPU, whatever the weights are.
    cache = 4 * CACHES * slots * sizes.slot
    return Need(held + _TOKEN * sizes.vocabulary, cache, working=max(0, most - held))


def available_bytes(device: str) -> int | None:
    """Memory that is free for use on the device; None where the system does not tell."""
    if device.startswith("cuda"):
        try:
            free, _ = torch.cuda.mem_get_info(torch.device(device))
        except RuntimeError:  # it does not answer
            return None
        return int(free)
    return memory()[1]  # MPS shares the system's


def memory(
    meminfo: Path = Path("/proc/meminfo"), process: Path = Path("/proc/self")
) -> tuple[int | None, int | None]:
    """Bytes of memory in all and free for use, None where the system does not tell.

    In a container, or wherever else this process is limited, both are what the limits leave.
    """
    total, free = (
        [each for each in found if each is not None]
        for found in zip(_machine(meminfo), memory_limit(process), strict=True)
    )
    return min(total, default=None), min(free, default=None)


def _machine(meminfo: Path) -> tuple[int | None, int | None]:
    """Memory of the whole machine."""
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
        values = {key: rest.split() for key, _, rest in (line.partition(":") for line in lines)}
        return 1024 * int(values["MemTotal"][0]), 1024 * int(values["MemAvailable"][0])
    except (OSError, ValueError, KeyError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None
    except (AttributeError, OSError, ValueError):
        return None, None


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Numbers of values in a checkpoint."""

    parameters: int  # all of them, a tied head once
    linear: int  # weights of linear layers, the head's included
    fused: int  # those of them that `lean.py` copies to put layers behind each other
    largest: int  # weights of the largest linear layer
    outputs: int  # of all linear layers: each has a scale and a bias
    embedding: int
    vocabulary: int  # tokens
    slot: int  # keys and values of one token in all layers


def _sizes_of(directory: Path) -> _Sizes:
    config = read_config(directory).get_text_config()
    module = empty_module(directory)
    linear = {n: m for n, m in module.named_modules() if isinstance(m, nn.Linear)}
    joined = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj") if lean.supports(config) else ()
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    groups = getattr(config, "num_key_value_heads", None) or heads
    return _Sizes(
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        linear=sum(layer.weight.numel() for layer in linear.values()),
        fused=sum(m.weight.numel() for n, m in linear.items() if n.split(".")[-1] in joined),
        largest=max(layer.weight.numel() for layer in linear.values()),
        outputs=sum(layer.out_features for layer in linear.values()),
        embedding=module.get_input_embeddings().weight.numel(),
        vocabulary=config.vocab_size,
        slot=2 * config.num_hidden_layers * groups * size,
    )


def _guessed(parameters: int) -> _Sizes:
    """Typical sizes: those of models with 150,000 tokens and a few key heads."""
    embedding = int(6100 * sqrt(parameters))  # width grows as the root
    return _Sizes(
        parameters=parameters + embedding,  # converted files have the head beside the embedding
        linear=parameters,
        fused=parameters // 2,
        largest=embedding,
        outputs=0,
        embedding=embedding,
        vocabulary=150_000,
        slot=parameters // 50_000,
    )


def _on_cpu(sizes: _Sizes, weights: str, ready: bool) -> tuple[int, int]:
    """Bytes held and at most held; `ready`: the rounded weights are in the cache."""
    stored, fused, embedding = 2 * sizes.parameters, 2 * sizes.fused, 4 * sizes.embedding
    rounded = sizes.linear + 8 * sizes.outputs
    rounding = 9 * sizes.largest  # two copies of a layer in float32 and the levels
    match weights:
        case _ if weights == NATIVE:
            # Read and rounded one by one, in pieces; the largest one, the head, comes last.
            piece = 14 * min(PIECE, sizes.largest)
            return rounded, rounded if ready else rounded + 2 * sizes.largest + piece
        case "int8":
            read = stored + fused + rounded
            held = rounded + embedding
            # What is made is also kept until it is written.
            return held, max(held, read if ready else stored + fused + max(2 * rounded, rounding))
        case "int8w" | "int4w" | "bf16":
            # The checkpoint stays mapped: products with many rows are taken in bfloat16.
            packed = {"int8w": 1.0, "int4w": _INT4, "bf16": 0.0}[weights] * sizes.linear
            held = stored + fused + int(packed) + embedding
            packing = {"int8w": rounding, "int4w": 14 * sizes.largest, "bf16": 0}[weights]
            return held, max(held, stored + fused + packing)
        case _:
            return 2 * stored, 2 * (stored + fused)


def _is_prepared(directory: Path, weights: str, cache_dir: Path) -> bool:
    if weights not in (NATIVE, "int8"):
        return False
    layout = NATIVE_LAYOUT if weights == NATIVE else int8_layout()
    return prepared_path(directory, cache_dir, layout).is_file()
