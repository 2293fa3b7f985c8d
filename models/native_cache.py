"""The key-value cache of the native forward pass: numpy, keys with their slots innermost.

Scores of one query against a block of slots are then sums of whole vectors (`attention_kernels.py`,
for whose blocks slots and the values' dimensions are padded).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from polydraft.models.attention_kernels import BLOCK
from polydraft.models.kv_cache import GROWTH

Array = np.ndarray[Any, np.dtype[np.float32]]


class NativeCache:
    """Implements `completion.protocols.Cache` for all layers at once."""

    def __init__(self, layers: int, groups: int, size: int, max_length: int) -> None:
        self.max_length = max_length
        self.length = 0
        self.positions = torch.zeros(0, dtype=torch.long)  # [length], text position of each slot
        self._keys: Array = np.empty((layers, groups, size, 0), np.float32)
        padded = -(-size // BLOCK) * BLOCK
        self._values: Array = np.zeros((layers, groups, 0, padded), np.float32)

    def crop(self, length: int) -> None:
        """Forget all slots from `length` on. Raises ValueError if fewer are held."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot crop a cache of {self.length} slots to {length}")
        self.length = length
        self.positions = self.positions[:length]

    def keep(self, length: int, slots: Sequence[int]) -> None:
        """Keep the first `length` slots and, moved up behind them, `slots` in ascending order."""
        if any(not length <= s < self.length for s in slots) or sorted(slots) != list(slots):
            raise ValueError(
                f"slots {list(slots)} are not ascending within {length}..{self.length}"
            )
        end = length + len(slots)
        if list(slots) != list(range(length, end)):
            index = list(slots)
            self._keys[..., length:end] = self._keys[..., index]
            self._values[:, :, length:end] = self._values[:, :, index]
            self.positions = torch.cat([self.positions[:length], self.positions[index]])
        self.crop(end)

    def with_room(self, new: int) -> tuple[Array, Array]:
        """keys [layers, groups, size, capacity] and values [layers, groups, capacity, padded size].

        There is room for `new` slots behind those held. Raises ValueError beyond `max_length`.
        """
        end = self.length + new
        if end > self.max_length:
            raise ValueError(f"the cache holds at most {self.max_length} slots, not {end}")
        if end > self._values.shape[2]:
            capacity = min(self.max_length, -(-end // GROWTH) * GROWTH)
            capacity = -(-capacity // BLOCK) * BLOCK
            layers, groups, size, _ = self._keys.shape
            keys = np.zeros((layers, groups, size, capacity), np.float32)
            values = np.zeros((layers, groups, capacity, self._values.shape[3]), np.float32)
            keys[..., : self.length] = self._keys[..., : self.length]
            values[:, :, : self.length] = self._values[:, :, : self.length]
            self._keys, self._values = keys, values
        return self._keys, self._values

    def advance(self, positions: torch.Tensor) -> None:
        """Count M new slots, whose keys and values were written, as held."""
        self.length += positions.numel()
        self.positions = torch.cat([self.positions, positions])

    @property
    def capacity(self) -> int:
        """Slots that the buffers have room for."""
        capacity: int = self._values.shape[2]
        return capacity

    @property
    def nbytes(self) -> int:
        """Bytes held by the preallocated buffers."""
        return self._keys.nbytes + self._values.nbytes
