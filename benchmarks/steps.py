"""Single decode steps over a cached prompt, for timings."""

from __future__ import annotations

import time

import torch

from polydraft.completion.meter import Meter
from polydraft.completion.prefix_cache import PrefixCache
from polydraft.completion.protocols import Model
from polydraft.completion.tree import DraftTree


class Steps:
    """Reads the prompt at once; each step is taken back, so that all are alike."""

    def __init__(self, model: Model, prompt: list[int]) -> None:
        self._cache = PrefixCache(model).prefill(prompt, Meter())[0].cache
        self._model = model
        self._prompt = prompt

    def once(self, rows: int) -> float:
        """Seconds of a step that adds one token to each of `rows` rows behind the prompt."""
        tokens = torch.tensor(self._prompt[:rows])
        tree = DraftTree(self._model, self._cache, Meter())
        start = time.perf_counter()
        tree.feed(tokens, [[]] * rows)
        seconds = time.perf_counter() - start
        self._cache.crop(len(self._prompt))
        return seconds
