"""A preallocated key-value cache, one slot a token, in the shape that transformers' models call.

Slots of a branching draft tree lie behind each other in the one sequence; an attention mask keeps
siblings apart (`polydraft.completion.tree`). So rows share their prefix without a copy, a rollback
is `crop`, and choosing one branch is `keep`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

GROWTH = 512  # slots: capacity grows in such steps, so that short prompts stay small


class KVCache:
    """Keys and values of every layer, each [1, heads, capacity, head size]."""

    def __init__(self, max_length: int) -> None:
        self.max_length = max_length
        self.length = 0
        self.positions = torch.zeros(0, dtype=torch.long)  # [length], text position of each slot
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []

    def crop(self, length: int) -> None:
        """Forget all slots from `length` on. Raises ValueError if fewer are held."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot crop a cache of {self.length} slots to {length}")
        self.length = length
        self.positions = self.positions[:length]

    @torch.inference_mode()
    def keep(self, length: int, slots: Sequence[int]) -> None:
        """Keep the first `length` slots and, moved up behind them, `slots` in ascending order."""
        if any(not length <= s < self.length for s in slots) or sorted(slots) != list(slots):
            raise ValueError(
                f"slots {list(slots)} are not ascending within {length}..{self.length}"
            )
        if list(slots) != list(range(length, length + len(slots))):
            index = torch.tensor(slots, dtype=torch.long)
            end = length + len(slots)
            for buffers in (self._keys, self._values):
                for buffer in buffers:
                    buffer[:, :, length:end] = buffer[:, :, index.to(buffer.device)]
            self.positions = torch.cat([self.positions[:length], self.positions[index]])
        self.crop(length + len(slots))

    def advance(self, positions: torch.Tensor) -> None:
        """Count M new slots, whose keys and values every layer has written, as held."""
        self.length += positions.numel()
        self.positions = torch.cat([self.positions, positions.cpu()])

    @property
    def capacity(self) -> int:
        """Slots that the buffers have room for."""
        return self._keys[0].shape[2] if self._keys else 0

    @property
    def nbytes(self) -> int:
        """Bytes held by the preallocated buffers."""
        return sum(b.nbytes for b in (*self._keys, *self._values))

    # What transformers' attention layers call: keys and values [1, heads, M, head size].
    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        end = self.length + keys.shape[2]
        if end > self.max_length:
            raise ValueError(f"the cache holds at most {self.max_length} slots, not {end}")
        while layer >= len(self._keys):  # more than one ahead if attention was left out (`Feed`)
            self._keys.append(_with_capacity(keys, end, self.max_length))
            self._values.append(_with_capacity(values, end, self.max_length))
        if self._keys[layer].shape[2] < end:
            self._keys[layer] = _grown(self._keys[layer], self.length, end, self.max_length)
            self._values[layer] = _grown(self._values[layer], self.length, end, self.max_length)
        self._keys[layer][:, :, self.length : end] = keys
        self._values[layer][:, :, self.length : end] = values
        return self._keys[layer][:, :, :end], self._values[layer][:, :, :end]

    def get_seq_length(self, layer: int = 0) -> int:
        return self.length


def _with_capacity(like: torch.Tensor, length: int, limit: int) -> torch.Tensor:
    capacity = min(limit, -(-length // GROWTH) * GROWTH)
    return like.new_empty(*like.shape[:2], capacity, like.shape[3])


def _grown(buffer: torch.Tensor, held: int, length: int, limit: int) -> torch.Tensor:
    new = _with_capacity(buffer, max(length, buffer.shape[2] + GROWTH), limit)
    new[:, :, :held] = buffer[:, :, :held]
    return new
