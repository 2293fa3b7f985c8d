"""What one model's guessers know: it belongs to the engine that owns the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from polydraft.completion.guessers import layer_skip, lookup, recycling
from polydraft.completion.guessers.ahead import Ahead
from polydraft.completion.guessers.guesser import Acceptance, Guesser
from polydraft.completion.guessers.layer_choice import spread
from polydraft.completion.guessers.layer_skip import LayerSkip, step_share, sublayers_of
from polydraft.completion.guessers.lookup import Lookup
from polydraft.completion.guessers.nothing import Nothing
from polydraft.completion.guessers.recycling import Recycling, Successors
from polydraft.completion.ngram_index import NGramIndex
from polydraft.completion.pass_costs import PassCosts
from polydraft.completion.protocols import Model

AUTO = "auto"
BEST = Lookup.name  # by docs/measurements.md, timed with the 0.5B model
GUESSERS = (AUTO, Nothing.name, Lookup.name, Recycling.name, LayerSkip.name)


class Guessers:
    """The guessers of one model, by name. Not thread-safe, like the engine."""

    def __init__(self, model: Model, costs: PassCosts | None = None) -> None:
        self._model = model
        self._costs = costs
        self._acceptance = Acceptance({**lookup.FIRST, **recycling.FIRST, **layer_skip.FIRST})

    def ahead(self, name: str, prompt: Sequence[int], workspace: NGramIndex | None = None) -> Ahead:
        """For one request: `prompt` is what stands before the drafts. KeyError: no such guesser."""
        makers: dict[str, Callable[[], Guesser]] = {
            Nothing.name: Nothing,
            Lookup.name: lambda: Lookup(prompt, workspace),
            Recycling.name: lambda: self.recycling,
            LayerSkip.name: lambda: self.layer_skip,
        }
        guesser = makers[BEST if name == AUTO else name]()
        return Ahead(guesser, self._acceptance, self._costs)

    @cached_property
    def recycling(self) -> Recycling:
        """Knows nothing at first."""
        return Recycling(Successors(self._model.vocab_size))

    @cached_property
    def layer_skip(self) -> LayerSkip:
        """Made on first use, when its step is timed; it may be that no layer can be left out."""
        return self.skipping(spread(sublayers_of(self._model)))

    def skipping(self, skip: frozenset[int]) -> LayerSkip:
        """Another choice of layers to leave out."""
        whole_ms = self._costs.of(1) if self._costs else 1.0
        return LayerSkip(skip, whole_ms * step_share(self._model, skip))
