"""A tree of draft tokens behind one prompt, in one cache: rows share what they have in common.

A *path* is the list of cache slots, oldest first, of the tokens that a row has fed since the
prompt. Each new position sees the prompt, its own path and itself, never a sibling. Forking a row
is copying its list of slots; there are no keys or values to copy.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from polydraft.completion.meter import Meter
from polydraft.completion.protocols import Cache, Feed, Model


class DraftTree:
    """Feeds tokens, or mixtures of them, at the leaves; `root` is where they begin, in slots."""

    def __init__(self, model: Model, cache: Cache, meter: Meter) -> None:
        self.model = model
        self.root = cache.length
        self.sizes: list[int] = []  # new positions of each pass
        self._cache = cache
        self._meter = meter

    @property
    def next_slot(self) -> int:
        """The slot that the next token fed will have."""
        return self._cache.length

    @property
    def passes(self) -> int:
        """Forward passes so far, in the whole request."""
        return self._meter.passes

    def feed(
        self,
        inputs: torch.Tensor,
        paths: Sequence[Sequence[int]],
        logits_from: int = 0,
        skip: frozenset[int] = frozenset(),
    ) -> torch.Tensor:
        """One forward pass over M new positions; position i gets slot `next_slot + i`.

        inputs: [M] token ids, or [M, D] embeddings. paths: M paths; a path may name slots of
        earlier positions of this same call. Returns logits [M - logits_from, V]. A pass that skips
        sublayers (`Feed`) is not exact and not counted, and its slots have to be dropped.
        """
        new, held = inputs.shape[0], self.next_slot
        assert len(paths) == new
        if skip:
            self._meter.poll()
        else:
            self._meter.count_pass()
            self.sizes.append(new)
        visible = torch.zeros(new, held + new, dtype=torch.bool)
        visible[:, : self.root] = True
        for i, path in enumerate(paths):
            visible[i, list(path)] = True
            visible[i, held + i] = True
        positions = torch.tensor([self.root + len(path) for path in paths])
        mixed = inputs.ndim == 2
        return self.model.forward(
            self._cache,
            Feed(
                embeddings=inputs if mixed else None,
                ids=None if mixed else inputs,
                positions=positions,
                visible=visible,
                logits_from=logits_from,
                skip=skip,
            ),
        )

    def drop(self, slot: int) -> None:
        """Forget all slots from this one on."""
        self._cache.crop(slot)

    def keep_only(self, path: Sequence[int]) -> None:
        """Drop every slot behind the prompt but those of `path`."""
        self._cache.keep(self.root, path)
