"""Attention over a shared cache, without repeating keys and values for each query head.

Grouped-query attention as transformers writes it copies every key and value once a query head. Here
the query heads of one group are rows of one matrix instead, so a decode step reads the cache once.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "polydraft"


def grouped(
    query: torch.Tensor,  # [1, H, M, D]
    key: torch.Tensor,  # [1, G, L, D] with G key heads, H a multiple of G
    value: torch.Tensor,  # [1, G, L, D]
    mask: torch.Tensor | None,  # [1, 1, H / G * M, L], as `group_mask` makes it
    scale: float | None = None,
) -> torch.Tensor:
    """-> attention output [1, M, H, D]."""
    batch, heads, new, size = query.shape
    groups = key.shape[1]
    rows = query.reshape(batch, groups, heads // groups * new, size)
    out = torch.nn.functional.scaled_dot_product_attention(
        rows, key, value, attn_mask=mask, scale=scale
    )
    return out.reshape(batch, heads, new, size).transpose(1, 2)


def group_mask(visible: torch.Tensor, queries_per_key: int, dtype: torch.dtype) -> torch.Tensor:
    """visible [M, L] bool -> additive mask [1, 1, queries_per_key * M, L], in the rows' order.

    Additive, since a boolean one would be converted again in every layer.
    """
    mask = torch.zeros(visible.shape, dtype=dtype).masked_fill_(~visible, -torch.inf)
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
    return grouped(query, key, value, attention_mask, scaling), None


def register() -> None:
    """Make the function known to transformers under `NAME`."""
    ALL_ATTENTION_FUNCTIONS.register(NAME, _for_transformers)
