"""Attention over a shared cache, without repeating keys and values for each query head.

Grouped-query attention as transformers writes it copies every key and value once a query head. Here
the query heads of one group are rows of one matrix instead, so a decode step reads the cache once.

A mask may be narrower than the cache: it is over the last slots, and every row sees all slots
before them (`shared_prefix.py`). So the length of the prefix travels in the mask's shape, which
every architecture of transformers hands on to its layers unchanged.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from polydraft.models.shared_prefix import shared_prefix

NAME = "polydraft"


def grouped(
    query: torch.Tensor,  # [1, H, M, D]
    key: torch.Tensor,  # [1, G, L, D] with G key heads, H a multiple of G
    value: torch.Tensor,  # [1, G, L, D]
    mask: torch.Tensor,  # [1, 1, H / G * M, S] over the last S <= L slots, by `group_mask`
    scale: float | None = None,
) -> torch.Tensor:
    """-> attention output [1, M, H, D]."""
    batch, heads, new, size = query.shape
    groups, length = key.shape[1:3]
    rows = query.reshape(batch, groups, heads // groups * new, size)
    out = shared_prefix(rows, key, value, length - mask.shape[-1], mask, scale)
    return out.reshape(batch, heads, new, size).transpose(1, 2)


def group_mask(visible: torch.Tensor, queries_per_key: int, dtype: torch.dtype) -> torch.Tensor:
    """visible [M, S] bool -> additive mask [1, 1, queries_per_key * M, S], in the rows' order.

    Additive, since a boolean one would be converted again in every layer. Finite, since kernels
    differ in what they make of a row that sees nothing (the CPU's calls its log-sum-exp 0); half
    the lowest number, so that adding a score does not overflow.
    """
    unseen = torch.finfo(dtype).min / 2
    mask = torch.zeros(visible.shape, dtype=dtype).masked_fill_(~visible, unseen)
    return mask.repeat(queries_per_key, 1)[None, None]


def _for_transformers(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    assert attention_mask is not None, "the architecture drops its mask"
    return grouped(query, key, value, attention_mask, scaling), None


def register() -> None:
    """Make the function known to transformers under `NAME`."""
    ALL_ATTENTION_FUNCTIONS.register(NAME, _for_transformers)
