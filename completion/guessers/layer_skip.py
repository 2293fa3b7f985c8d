"""Layer skipping: the model guesses for itself, with some of its sublayers left out.

SWIFT (Xia et al., arXiv 2410.06916), after Draft & Verify (Zhang et al., arXiv 2309.08168): a layer
adds to what is there already, so many can be left out and the best next token stays the same. The
shortened model drafts a few tokens, the whole one checks them in one pass. There is nothing to
train and nothing more to hold; which sublayers go is `layer_choice.py`'s to say.

The draft's tokens see the exact keys and values of all that was fed before. Their own slots lack
those of the attention left out, so they are dropped before the exact pass.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch

from polydraft.completion.guessers.guesser import Kind, Proposal, Proposals
from polydraft.completion.protocols import Feed, Model
from polydraft.completion.rows import Choice, Row
from polydraft.completion.tree import DraftTree

KIND = "layer-skip"
FIRST: Mapping[Kind, float] = {KIND: 0.85}  # how often it was right at first


@runtime_checkable
class Skippable(Protocol):
    """A `Model` that can leave sublayers out (`Feed.skip`) has this beside."""

    @property
    def sublayers(self) -> int:
        """Twice the number of layers; 0 if the model can leave none out after all."""


def sublayers_of(model: Model) -> int:
    """How many sublayers there are to choose from; 0 if none can be left out."""
    return model.sublayers if isinstance(model, Skippable) else 0


class LayerSkip:
    """Steps of the model without the sublayers in `skip`; one of them takes `step_ms`."""

    name = KIND

    def __init__(self, skip: frozenset[int], step_ms: float) -> None:
        self.skip = skip
        self.step_ms = step_ms

    def propose(self, tree: DraftTree, row: Row) -> Proposals:
        if not self.skip:  # the whole model would guess at the price of asking it
            return
        first = tree.next_slot
        token, path = row.ids[-1], list(row.slots)
        try:
            while True:
                (logits,) = tree.feed(torch.tensor([token]), [path], skip=self.skip)  # [V]
                token = int(logits.argmax())
                confidence = math.exp(float(logits[token] - logits.logsumexp(-1)))
                path.append(tree.next_slot - 1)
                yield Proposal(token, KIND, confidence)
        finally:
            tree.drop(first)

    def learn(self, fed: Sequence[int], said: Sequence[Choice]) -> None:
        """How often it is right is counted by whoever asks; there is no more to learn."""


def step_share(model: Model, skip: frozenset[int], turns: int = 5) -> float:
    """What a step without `skip` takes of a whole one's time: the least of each, measured by turns.

    In one go, since a machine's speed changes by more than this between two days.
    """
    if not skip:
        return 1.0
    cache, token = model.new_cache(), torch.zeros(1, dtype=torch.long)
    best = {frozenset[int](): math.inf, skip: math.inf}
    for _ in range(turns):
        for left in best:
            start = time.perf_counter()
            model.forward(cache, Feed(None, token, token, None, skip=left))
            best[left] = min(best[left], time.perf_counter() - start)
            cache.crop(0)
    return best[skip] / best[frozenset()]
