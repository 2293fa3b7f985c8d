"""Which prompts' keys and values are at hand: a few caches, chosen by longest common prefix."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from polydraft.completion.meter import Meter
from polydraft.completion.protocols import Cache, Feed, Model

CACHES = 3  # documents (or places in one) that a user moves between


class Held:
    """A cache and the ids whose keys and values its slots hold."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.ids: list[int] = []


class PrefixCache:
    """Least recently used caches for one model."""

    def __init__(self, model: Model, caches: int = CACHES) -> None:
        self._model = model
        self._caches = caches
        self._held: list[Held] = []  # most recent last

    def prefill(self, ids: Sequence[int], meter: Meter) -> tuple[Held, torch.Tensor, int]:
        """Bring `ids` into a cache -> (cache, logits [V] behind the last id, tokens recomputed).

        Whatever was computed before a cancel or a deadline stays for the next request.
        """
        assert ids
        held, common = self._hold(ids)
        logits = self._compute(held, ids, meter)
        assert logits is not None
        return held, logits, len(ids) - common

    def prefill_but_tail(self, ids: Sequence[int], meter: Meter, most: int) -> tuple[Held, int]:
        """Bring `ids` into a cache but for 1 to `most` last ones -> (cache, tokens recomputed).

        The cache holds `cache.length` of them: the others are the caller's, to be fed along with
        what comes behind them.
        """
        assert ids and most >= 1
        held, common = self._hold(ids)
        if len(ids) - common > most:
            self._compute(held, ids[:-1], meter)
        return held, len(ids) - common

    def missing(self, ids: Sequence[int]) -> int:
        """How many of `ids` would have to be computed."""
        return len(ids) - max((common_prefix(held.ids, ids) for held in self._held), default=0)

    def _hold(self, ids: Sequence[int]) -> tuple[Held, int]:
        """The cache to use, cropped to what it has in common with `ids`, and how much that is."""
        held, common = self._best(ids)
        common = min(common, len(ids) - 1)  # the last token's logits are needed anew
        held.cache.crop(common)
        held.ids = list(ids[:common])
        return held, common

    def _compute(self, held: Held, ids: Sequence[int], meter: Meter) -> torch.Tensor | None:
        """The rest of `ids`, in chunks -> logits [V] behind the last one."""
        logits = None
        for start in range(len(held.ids), len(ids), self._model.prefill_chunk):
            meter.count_pass()
            chunk = torch.tensor(ids[start : start + self._model.prefill_chunk])
            logits = self._model.forward(
                held.cache,
                Feed(
                    embeddings=None,
                    ids=chunk,
                    positions=torch.arange(start, start + len(chunk)),
                    visible=None,
                    logits_from=len(chunk) - 1,
                ),
            )
            held.ids.extend(chunk.tolist())
        return None if logits is None else logits[-1]

    def _best(self, ids: Sequence[int]) -> tuple[Held, int]:
        """The cache to use, a new one for a quite different prompt, and how many slots serve."""
        common = [common_prefix(held.ids, ids) for held in self._held]
        best = max(range(len(common)), key=common.__getitem__, default=None)
        if best is not None and common[best] * 4 >= min(len(ids), len(self._held[best].ids)):
            held = self._held.pop(best)
            self._held.append(held)
            return held, common[best]
        if len(self._held) >= self._caches:
            held = self._held.pop(0)
        else:
            held = Held(self._model.new_cache())
        self._held.append(held)
        return held, common_prefix(held.ids, ids)


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the longest common prefix of two sequences."""
    shorter = min(len(a), len(b))
    return next((i for i in range(shorter) if a[i] != b[i]), shorter)
