"""Attention of many rows over a prefix that all of them see, and over what each sees behind it.

Hydragen (Juravsky et al. 2024, https://arxiv.org/abs/2402.05099): softmax attention over two sets
of slots is the average of the attentions over each, weighted by the softmax's denominators. So the
prefix needs no mask, which is what the fastest kernels ask for and what a mask of rows x prefix
would cost; only the few slots behind it have one. The result is exact.

Glossary:
- *row*: one query of one head; the heads that share a key head are rows of one matrix.
- *prefix*: the leading slots that every row sees.
- *suffix*: the slots behind the prefix, a tree of drafts or a chunk of a prompt, under a mask.
- *lse*: log-sum-exp of a row's scores, the logarithm of its softmax's denominator.
"""

from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention

# Scores (heads x positions x slots of the prefix) from which, on a CPU, the mask that is saved is
# worth the second kernel and the merging: where `make bench-attention` has its break-even.
_CPU_PAYS_FROM = 500_000
# Positions up to which, on CUDA, one kernel under a mask is better than two and the merging: a pass
# over a few rows is bound by launching kernels (`make bench-gpu`).
_CUDA_ROWS = 32


def shared_prefix(
    query: torch.Tensor,  # [1, G, R, D], R rows for each of G key heads
    key: torch.Tensor,  # [1, G, L, D]
    value: torch.Tensor,  # [1, G, L, D]
    prefix_length: int,  # P <= L: every row sees slots 0..P
    suffix_mask: torch.Tensor,  # [1, 1, R, L - P] additive and finite, as `attention.group_mask`
    scale: float | None = None,
) -> torch.Tensor:
    """-> [1, G, R, D]. A row may see nothing behind a prefix that is not empty."""
    end = prefix_length
    assert suffix_mask.shape[-2:] == (query.shape[2], key.shape[2] - end)
    if end == 0:
        return scaled_dot_product_attention(query, key, value, attn_mask=suffix_mask, scale=scale)
    if end == key.shape[2]:
        return scaled_dot_product_attention(query, key, value, scale=scale)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    before, before_lse = _attend(query, key[:, :, :end], value[:, :, :end], None, scale)
    behind, behind_lse = _attend(query, key[:, :, end:], value[:, :, end:], suffix_mask, scale)
    share = torch.sigmoid(before_lse - behind_lse)[..., None]
    return torch.lerp(behind.float(), before.float(), share).to(query.dtype)


def prefix_length(visible: torch.Tensor) -> int:
    """visible [M, L] bool -> how many leading slots all M positions see."""
    hidden = ~visible.all(0)
    return int(hidden.byte().argmax()) if bool(hidden.any()) else visible.shape[1]


def split_at(visible: torch.Tensor, heads: int, device: torch.device) -> int:
    """Where to split L slots into a prefix and a suffix under a mask; 0 where it does not pay."""
    length = prefix_length(visible)
    if length == visible.shape[1]:
        return length
    if device.type == "cuda":
        return length if visible.shape[0] > _CUDA_ROWS else 0
    pays = device.type == "cpu" and heads * visible.shape[0] * length >= _CPU_PAYS_FROM
    return length if pays else 0


def _attend(
    query: torch.Tensor,  # [1, G, R, D]
    key: torch.Tensor,  # [1, G, S, D], S > 0
    value: torch.Tensor,  # [1, G, S, D]
    mask: torch.Tensor | None,  # [1, 1, R, S] additive, or None
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """-> attention output [1, G, R, D] and lse [1, G, R] in float32."""
    aten = torch.ops.aten
    if query.device.type == "cpu":
        output, lse = aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, attn_mask=mask, scale=scale
        )
    elif mask is None and _flash_serves(query, key, value):
        output, lse, *_ = aten._scaled_dot_product_flash_attention(query, key, value, scale=scale)
    else:
        output, lse = plain(query, key, value, mask, scale)
    return output, lse


def _flash_serves(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether CUDA's flash kernel takes these as they are; it pads no heads to multiples of 8."""
    if query.device.type != "cuda" or query.shape[-1] % 8:
        return False
    asked = torch.backends.cuda.SDPAParams(query, key, value, None, 0.0, False, False)
    return torch.backends.cuda.can_use_flash_attention(asked)


def plain(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`_attend` by matrix products in float32, on any device: for suffixes, which are short."""
    scores = query.float() @ key.float().mT * scale
    if mask is not None:
        scores = scores + mask
    lse = scores.logsumexp(-1)
    return (scores - lse[..., None]).exp() @ value.float(), lse
