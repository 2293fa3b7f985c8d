"""A toy causal model, exact and naive at once, for tests of the decoder.

Its logits depend on every visible position through a distance-weighted sum of embeddings, so a mask
error, a wrong position or a stale slot changes them. `naive_logits` computes the same from the
plain sequence, without cache or mask.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from polydraft.completion.protocols import Feed


class ToyCache:
    def __init__(self, width: int) -> None:
        self.embeddings = torch.zeros(0, width)
        self.positions = torch.zeros(0, dtype=torch.long)

    @property
    def length(self) -> int:
        return len(self.positions)

    def crop(self, length: int) -> None:
        assert 0 <= length <= self.length
        self.embeddings, self.positions = self.embeddings[:length], self.positions[:length]

    def keep(self, length: int, slots: Sequence[int]) -> None:
        index = [*range(length), *slots]
        self.embeddings, self.positions = self.embeddings[index], self.positions[index]


class ToyModel:
    def __init__(self, vocab_size: int = 24, width: int = 8, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.vocab_size = vocab_size
        self.max_positions = 512
        self.prefill_chunk = 16
        self.table = torch.randn(vocab_size, width, generator=generator)
        self.head = 2 * torch.randn(width, vocab_size, generator=generator)
        self.passes = 0

    def new_cache(self) -> ToyCache:
        return ToyCache(self.table.shape[1])

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        return self.table[ids]

    def forward(self, cache: ToyCache, feed: Feed) -> torch.Tensor:
        self.passes += 1
        new = self.embed(feed.ids) if feed.embeddings is None else feed.embeddings
        held = cache.length
        cache.embeddings = torch.cat([cache.embeddings, new])
        cache.positions = torch.cat([cache.positions, feed.positions])
        visible = feed.visible
        if visible is None:
            visible = torch.ones(len(new), held + len(new), dtype=torch.bool).tril(held)
        distance = (feed.positions[:, None] - cache.positions[None]).clamp(min=0)
        weights = torch.where(visible, 0.8**distance, 0.0)
        states = torch.tanh(weights @ cache.embeddings)
        return (states @ self.head)[feed.logits_from :]


def naive_logits(model: ToyModel, ids: Sequence[int]) -> torch.Tensor:
    """Logits [V] behind the sequence."""
    age = torch.arange(len(ids)).flip(0)
    return torch.tanh((0.8**age) @ model.table[list(ids)]) @ model.head


def naive_logprob(model: ToyModel, before: Sequence[int], token: int) -> float:
    return float(torch.log_softmax(naive_logits(model, before), -1)[token])


def naive_greedy(
    model: ToyModel, prompt: Sequence[int], stops: frozenset[int], n: int
) -> list[int]:
    ids: list[int] = []
    while len(ids) < n:
        token = int(naive_logits(model, [*prompt, *ids]).argmax())
        if token in stops:
            break
        ids.append(token)
    return ids
