"""The preallocated cache: what it holds after crop, keep and growth."""

from __future__ import annotations

import pytest
import torch

from polydraft.models.kv_cache import KVCache


def filled(slots: int, limit: int = 4096) -> KVCache:
    """Two layers; slot s holds the value s (layer 0) and 1000 + s (layer 1)."""
    cache = KVCache(limit)
    append(cache, range(slots))
    return cache


def append(cache: KVCache, values) -> torch.Tensor:
    data = torch.tensor([float(v) for v in values])[None, None, :, None].expand(1, 2, -1, 3)
    cache.update(data, -data, 0)
    keys, _ = cache.update(data + 1000, -data, 1)
    cache.advance(torch.arange(cache.length, cache.length + data.shape[2]))
    return keys


def held(cache: KVCache) -> list[float]:
    keys, _ = cache.update(torch.zeros(1, 2, 0, 3), torch.zeros(1, 2, 0, 3), 0)
    return keys[0, 0, :, 0].tolist()


def test_growth_keeps_what_was_held():
    cache = filled(500)
    append(cache, range(500, 1100))
    assert held(cache) == list(range(1100))


def test_crop_forgets_the_tail():
    cache = filled(10)
    cache.crop(4)
    append(cache, [77])
    assert held(cache) == [0, 1, 2, 3, 77]
    assert cache.positions.tolist() == [0, 1, 2, 3, 4]


def test_keep_moves_a_branch_up_in_every_layer():
    cache = filled(10)
    cache.keep(4, [5, 8])
    assert held(cache) == [0, 1, 2, 3, 5, 8]
    assert append(cache, [1])[0, 0, :, 0].tolist() == [1000, 1001, 1002, 1003, 1005, 1008, 1001]


@pytest.mark.parametrize("slots", [[3], [10], [8, 5]])
def test_keep_refuses_slots_that_are_not_ascending_behind_the_prompt(slots):
    with pytest.raises(ValueError, match="ascending"):
        filled(10).keep(4, slots)


def test_crop_refuses_to_grow():
    with pytest.raises(ValueError, match="10 slots to 11"):
        filled(10).crop(11)


def test_a_cache_never_grows_past_its_limit():
    cache = filled(600, limit=700)
    append(cache, range(100))
    with pytest.raises(ValueError, match="at most 700"):
        append(cache, [0])
