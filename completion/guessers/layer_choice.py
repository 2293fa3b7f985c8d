"""Which sublayers `layer_skip.py` leaves out.

SWIFT (arXiv 2410.06916) looks for the set by random and Bayesian search while it decodes: of sets
of equal size the one with which the model's best next tokens agree most often with the whole
model's on text that it has just seen (the *match*). An MLP takes seven times the weights of an
attention in the models at hand, and a step costs what reading weights costs, so here only MLPs are
left out.

`spread` needs no model: MLPs evenly over the depth, but for the first and the last layers, which
no model can spare. `most_spared` adds MLP after MLP, each time the one that costs the least match;
how much better that is stands in docs/measurements.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch

from polydraft.completion.protocols import Cache, Feed, Model

SHARE = 0.4  # of the MLPs
_EDGE = 1 / 12  # of the depth, at either end: always computed

Match = Callable[[frozenset[int]], float]


def spread(sublayers: int, share: float = SHARE) -> frozenset[int]:
    """About `share` of the MLPs, at even distances; sublayer 2 i + 1 is layer i's MLP."""
    layers = sublayers // 2
    edge = max(1, round(layers * _EDGE))
    inner = layers - 2 * edge
    count = min(inner, round(share * layers))
    return frozenset(2 * (edge + i * inner // count) + 1 for i in range(count))


def most_spared(
    candidates: Collection[int], count: int, match: Match, beginning: frozenset[int] = frozenset()
) -> frozenset[int]:
    """`count` of the candidates, added one by one so that `match` of the set falls the least.

    Takes about count * len(candidates) matches; of equal ones the smallest candidate goes.
    """
    chosen = beginning
    while len(chosen) < count:
        left = sorted(set(candidates) - chosen)
        chosen |= {max(left, key=lambda each: match(chosen | {each}))}
    return chosen


def match_on(model: Model, cache: Cache, ids: Sequence[int], skip: frozenset[int]) -> float:
    """How often the model without `skip` agrees on what follows each of `ids`, 0 to 1.

    `cache` holds what stands before them and is left as it was. Each of the N tokens sees the exact
    keys and values of those before, as the first token of a draft does.
    """
    held, count = cache.length, len(ids)
    tokens, positions = torch.tensor(ids), torch.arange(held, held + count)  # [N]
    exact = model.forward(cache, Feed(None, tokens, positions, None)).argmax(-1)  # [N]
    visible = torch.zeros(count, held + 2 * count, dtype=torch.bool)
    visible[:, :held] = True
    visible[:, held : held + count] = torch.ones(count, count).tril(-1).bool()
    visible[:, held + count :] = torch.eye(count).bool()
    without = model.forward(cache, Feed(None, tokens, positions, visible, skip=skip)).argmax(-1)
    cache.crop(held)
    return float((exact == without).float().mean())
