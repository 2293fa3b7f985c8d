"""A causal language model as polydraft's `Model`: one forward pass over a cache with branches."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from polydraft.completion.protocols import Cache, Feed
from polydraft.models.attention import group_mask
from polydraft.models.kv_cache import KVCache
from polydraft.models.lean import LeanDecoder, supports
from polydraft.models.plain import PlainDecoder
from polydraft.models.shared_prefix import split_at
from polydraft.models.threads import available, limit_torch
from polydraft.models.windows import windows_of


def decoder_of(module: Any) -> nn.Module:
    """The fastest forward pass that there is for a transformers `…ForCausalLM`."""
    module.eval()
    lean = supports(module.config.get_text_config())
    return LeanDecoder(module) if lean else PlainDecoder(module)


class TransformerModel:
    """Turns feeds into masks and calls the decoder; logits beyond the tokenizer's ids are dropped.

    Some checkpoints pad the vocabulary (Qwen2.5: 151,936 or 152,064 rows for 151,665 ids), so
    `vocab_size` is what the tokenizer knows.
    """

    def __init__(
        self,
        config: Any,  # transformers' configuration
        embedding: nn.Module,  # ids [...] -> [..., D]
        decoder: nn.Module,  # a `LeanDecoder` or a `PlainDecoder`
        vocab_size: int | None = None,
        max_slots: int | None = None,
        threads: int | None = None,
    ) -> None:
        config = config.get_text_config()
        self.threads = threads or available()
        self._embedding = embedding
        self._decoder = decoder
        self._heads: int = config.num_attention_heads
        self._queries_per_key = self._heads // config.num_key_value_heads
        self._windows = windows_of(config)
        weight = embedding.get_parameter("weight")
        self.device, self._dtype = weight.device, weight.dtype
        self.vocab_size = min(vocab_size or config.vocab_size, config.vocab_size)
        self.max_positions: int = config.max_position_embeddings
        # On a CPU a pass takes as long as its tokens do, so small ones lose nothing.
        self.prefill_chunk = 64 if self.device.type == "cpu" else 1024
        self._max_slots = max_slots or self.max_positions

    @classmethod
    def of(cls, module: Any, **limits: int | None) -> TransformerModel:
        """Wrap a transformers `…ForCausalLM` as it is, with `vocab_size` and `max_slots`."""
        embedding = module.get_input_embeddings()
        return cls(module.config, embedding, decoder_of(module), **limits)

    @property
    def sublayers(self) -> int:
        """How many there are to choose from for `Feed.skip`."""
        count: int = getattr(self._decoder, "sublayers", 0)
        return count

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
        limit_torch(self.threads)
        embeddings = feed.embeddings
        if embeddings is None:
            assert feed.ids is not None
            embeddings = self.embed(feed.ids)
        assert embeddings.shape[0] == feed.positions.numel()
        logits: torch.Tensor = self._decoder(
            embeddings.to(self.device),
            feed.positions.to(self.device),
            self._masks(cache, feed),
            cache,
            feed.logits_from,
            feed.skip,
        )
        cache.advance(feed.positions)
        return logits[:, : self.vocab_size].float().cpu()

    def _masks(self, cache: KVCache, feed: Feed) -> dict[str, torch.Tensor]:
        """Kind of layer -> additive attention mask [1, 1, rows, S] over the last S slots.

        All rows see all slots before those. A window that hides the first slots leaves no prefix.
        """
        new, length = feed.positions.numel(), cache.length
        visible = feed.visible
        if visible is None:
            visible = torch.ones(new, length + new, dtype=torch.bool).tril_(length)
        assert visible.shape == (new, length + new)
        masks: dict[str, torch.Tensor] = {}
        for kind, window in self._windows.items():
            seen = visible
            if window is not None:
                slots = torch.cat([cache.positions, feed.positions])
                seen = visible & (feed.positions[:, None] - slots[None] < window)
            suffix = seen[:, split_at(seen, self._heads, self.device) :]
            mask = group_mask(suffix, self._queries_per_key, self._dtype)
            masks[kind] = mask.to(self.device)
        return masks
