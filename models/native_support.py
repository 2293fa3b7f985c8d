"""Which processors and architectures the native forward pass is for; imports nothing heavy."""

from __future__ import annotations

import platform
from typing import Any, NamedTuple

import torch

LANES = 16  # inputs that one instruction takes: K must be a multiple of it
OUTPUTS = 4  # weight rows that are taken together: N must be a multiple of it
PIECE = 1 << 22  # weights that are rounded at a time: their float32 copies take 14 bytes each
SUPPORTED = frozenset({"qwen2", "llama", "starcoder2"})


class Shape(NamedTuple):
    """What the pass must know of an architecture beside the sizes of its weights."""

    heads: int
    groups: int  # key-value heads
    size: int  # of a head
    epsilon: float
    centred: bool  # LayerNorm, not RMSNorm
    gated: bool  # silu(gate) * up, not gelu(up)


def processor_serves() -> bool:
    """Whether this processor has the instruction that `dot_kernels.py` is made of."""
    intel = platform.machine().lower() in {"x86_64", "amd64"}
    return intel and torch.backends.cpu.get_cpu_capability() in {"AVX2", "AVX512"}


def wide_vectors() -> bool:
    """Whether 512-bit vectors serve: integers of 16 bits need AVX-512BW, which torch asks for."""
    return torch.backends.cpu.get_cpu_capability() == "AVX512"


def supports(config: Any) -> bool:
    """Whether the pass computes what the architecture does, all its layers being alike."""
    if config.model_type not in SUPPORTED:
        return False
    kinds = set(getattr(config, "layer_types", None) or ())
    if config.model_type != "starcoder2" and (len(kinds) > 1 or "sliding_attention" in kinds):
        return False
    shape = shape_of(config)
    sizes = (config.hidden_size, config.intermediate_size, shape.heads * shape.size)
    return (
        config.hidden_act == ("silu" if shape.gated else "gelu_pytorch_tanh")
        and shape.size % OUTPUTS == 0
        and not any(size % LANES for size in sizes)
    )


def shape_of(config: Any) -> Shape:
    """The shape of a supported architecture."""
    starcoder = config.model_type == "starcoder2"
    return Shape(
        heads=config.num_attention_heads,
        groups=config.num_key_value_heads,
        size=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        epsilon=config.norm_epsilon if starcoder else config.rms_norm_eps,
        centred=starcoder,
        gated=not starcoder,
    )
