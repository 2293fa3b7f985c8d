"""transformers' own forward pass over our cache, for architectures that `lean.py` is not for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from polydraft.models import attention
from polydraft.models.kv_cache import KVCache


class PlainDecoder(nn.Module):
    """Wraps any transformers `…ForCausalLM`."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        attention.register()
        module.set_attn_implementation(attention.NAME)
        self.module = module

    def forward(
        self,
        embeddings: torch.Tensor,  # [M, D]
        positions: torch.Tensor,  # [M]
        masks: dict[str, torch.Tensor],  # see `transformer.TransformerModel`
        cache: KVCache,
        logits_from: int,
        skip: Collection[int] = (),
    ) -> torch.Tensor:
        """-> logits [M - logits_from, V]. transformers' own code leaves no sublayer out."""
        assert not skip
        output = self.module(
            inputs_embeds=embeddings[None],
            position_ids=positions[None],
            attention_mask=masks.get("", masks),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=embeddings.shape[0] - logits_from,
        )
        logits: torch.Tensor = output.logits[0]
        return logits
