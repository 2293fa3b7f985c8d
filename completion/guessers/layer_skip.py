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
from polydraft.completion.protocols import Model
from polydraft.completion.rows import Choice, Row
from polydraft.completion.tree import DraftTree

KIND = "layer-skip"
FIRST: Mapping[Kind, float] = {KIND: 0.85}  # how often it was right at first
_RATE = 0.1  # of the exponential mean of a step's time


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
    """Steps of the model without the sublayers in `skip`. Belongs to the model's engine."""

    name = KIND

    def __init__(self, skip: frozenset[int], step_ms: float = 1.0) -> None:
        """step_ms: what a step may cost, until some were timed."""
        self.skip = skip
        self._step_ms = step_ms

    @property
    def step_ms(self) -> float:
        """As measured, an exponential mean."""
        return self._step_ms

    def propose(self, tree: DraftTree, row: Row) -> Proposals:
        if not self.skip:  # the whole model would guess at the price of asking it
            return
        first = tree.next_slot
        token, path = row.ids[-1], list(row.slots)
        try:
            while True:
                start = time.perf_counter()
                (logits,) = tree.feed(torch.tensor([token]), [path], skip=self.skip)  # [V]
                token = int(logits.argmax())
                confidence = math.exp(float(logits[token] - logits.logsumexp(-1)))
                taken = 1000 * (time.perf_counter() - start)
                self._step_ms += _RATE * (taken - self._step_ms)
                path.append(tree.next_slot - 1)
                yield Proposal(token, KIND, confidence)
        finally:
            tree.drop(first)

    def learn(self, fed: Sequence[int], said: Sequence[Choice]) -> None:
        """How often it is right is counted by whoever asks; there is no more to learn."""
