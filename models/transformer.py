"""Any transformers causal language model as polydraft's `Model`: one forward pass over a cache."""

from __future__ import annotations

from typing import Any

import torch

from polydraft.completion.protocols import Cache, Feed
from polydraft.models import attention
from polydraft.models.kv_cache import KVCache


class TransformerModel:
    """Wraps a transformers `…ForCausalLM`; logits beyond the tokenizer's ids are dropped.

    Some checkpoints pad the vocabulary (Qwen2.5: 151,936 or 152,064 rows for 151,665 ids), so
    `vocab_size` is what the tokenizer knows.
    """

    def __init__(
        self, module: Any, vocab_size: int | None = None, max_slots: int | None = None
    ) -> None:
        attention.register()
        module.eval()
        module.set_attn_implementation(attention.NAME)
        config = module.config.get_text_config()
        self._module = module
        self._embedding = module.get_input_embeddings()
        self._queries_per_key = config.num_attention_heads // config.num_key_value_heads
        self._windows = _windows(config)
        self.device: torch.device = self._embedding.weight.device
        self._dtype: torch.dtype = self._embedding.weight.dtype
        self.vocab_size = min(vocab_size or config.vocab_size, config.vocab_size)
        self.max_positions: int = config.max_position_embeddings
        self._max_slots = max_slots or self.max_positions

    def new_cache(self) -> KVCache:
        return KVCache(self._max_slots)

    @torch.inference_mode()
    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """ids [...] -> input embeddings [..., D]."""
        embedded: torch.Tensor = self._embedding(ids.to(self.device))
        return embedded

    @torch.inference_mode()
    def forward(self, cache: Cache, feed: Feed) -> torch.Tensor:
        """Append M slots to the cache; returns logits [M - logits_from, V] in float32."""
        assert isinstance(cache, KVCache)
        new = feed.positions.numel()
        embeddings = feed.embeddings
        if embeddings is None:
            assert feed.ids is not None and feed.ids.shape == (new,)
            embeddings = self.embed(feed.ids)
        assert embeddings.shape[0] == new
        output = self._module(
            inputs_embeds=embeddings[None].to(self.device),
            position_ids=feed.positions[None].to(self.device),
            attention_mask=self._masks(cache, feed),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=new - feed.logits_from,
        )
        cache.advance(feed.positions)
        logits: torch.Tensor = output.logits[0, :, : self.vocab_size].float()
        return logits

    def _masks(self, cache: KVCache, feed: Feed) -> torch.Tensor | dict[str, torch.Tensor]:
        """The attention mask [1, 1, rows, L + M], or one for each kind of layer that there is."""
        new, length = feed.positions.numel(), cache.length
        visible = feed.visible
        if visible is None:
            visible = torch.ones(new, length + new, dtype=torch.bool).tril_(length)
        assert visible.shape == (new, length + new)
        masks = {}
        for kind, window in self._windows.items():
            seen = visible
            if window is not None:
                slots = torch.cat([cache.positions, feed.positions])
                seen = visible & (feed.positions[:, None] - slots[None] < window)
            mask = attention.group_mask(seen, self._queries_per_key, self._dtype)
            masks[kind] = mask.to(self.device)
        return masks.get("", masks)


def _windows(config: Any) -> dict[str, int | None]:
    """Kind of layer -> sliding window; the kind "" means that all layers are alike."""
    window = getattr(config, "sliding_window", None)
    if config.model_type in {"starcoder2", "mistral"}:
        return {"": window}
    kinds = set(getattr(config, "layer_types", None) or ())
    if not kinds or config.model_type in {"llama", "gemma", "granite"}:
        return {"": None}
    return {kind: window if kind == "sliding_attention" else None for kind in kinds}
