"""Puts the parts together: a model's name becomes a completer, settings become a server.

The one module that knows all parts; everything else gets what it needs handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakSet

from polydraft.completion.completer import EngineCompleter
from polydraft.completion.drafters.auto import Auto
from polydraft.completion.engine import Engine
from polydraft.completion.pacing import Costs
from polydraft.completion.pair import PairEngine
from polydraft.completion.protocols import Completer
from polydraft.completion.switching import Policy, Thresholds, policy_of
from polydraft.completion.types import Budget
from polydraft.lsp_server.completers import OnProgress
from polydraft.lsp_server.settings import ModelSettings, Switching, same_model
from polydraft.models.cache_dir import cache_root
from polydraft.models.costs import fastest, remembered
from polydraft.models.errors import PairError
from polydraft.models.load import AUTO, LoadedModel, choose_device, choose_weights, load_model
from polydraft.models.memory import available_bytes
from polydraft.models.memory_limit import Wanted, require_memory
from polydraft.models.pairing import check_pair
from polydraft.models.progress import Progress
from polydraft.models.registry import Registry, load_registry
from polydraft.models.spec import ModelSpec
from polydraft.models.store import ensure_model, is_ready

STAGES = {
    "wait": "Waiting for another polydraft that fetches the same model",
    "download": "Downloading {name}",
    "verify": "Checking {name}",
    "convert": "Converting {name} (once)",
    "load": "Loading {name}",
}


CONTEXT_TOKENS = 2 * Budget().prompt_tokens  # what a model's caches are expected to hold


class ModelCompleter(EngineCompleter):
    """A completer over one model, which can still be made part of a pair."""

    def __init__(self, loaded: LoadedModel, wanted: Wanted | None = None) -> None:
        self.loaded = loaded
        self.wanted = wanted  # what it was thought to need
        self.engine = Engine(loaded.model, Auto(loaded.passes))
        super().__init__(self.engine, loaded.tokenizer, loaded.prompt_format)


@dataclass(frozen=True, slots=True)
class ModelProvider:
    """Implements `completers.CompleterProvider` over the registry and the cache."""

    registry: Registry = field(default_factory=load_registry)
    _held: WeakSet[ModelCompleter] = field(default_factory=WeakSet)  # what is in memory

    def is_ready(self, name: str) -> bool:
        return is_ready(self.registry.get(name)) is not None

    def load(
        self, model: ModelSettings, progress: OnProgress, *, budget_bytes: int | None = None
    ) -> ModelCompleter:
        """Fetch, convert and load; raises `ModelError` with a text for the user."""

        def report(stage: str, done: int, total: int) -> None:
            progress(STAGES[stage].format(name=model.name), done / total if total else None)

        return self.bring(model, report, budget_bytes)

    def bring(
        self, model: ModelSettings, report: Progress, budget_bytes: int | None
    ) -> ModelCompleter:
        """As `load`, with the progress of `models`; the stage `load` is told in no bytes."""
        # What cannot fit is not downloaded either.
        self._require_memory(self.registry.resolve(model.name), None, model, budget_bytes)
        spec, directory = self.fetch(model.name, report)
        wanted = self._require_memory(spec, directory, model, budget_bytes)
        report("load", 0, 0)
        loaded = load_model(spec, directory, device=model.device, weights=model.weights)
        completer = ModelCompleter(loaded, wanted)
        self._held.add(completer)
        return completer

    def pair(self, small: Completer, large: Completer, switching: Switching) -> EngineCompleter:
        """One completer of two, if their token ids mean the same; else raises `PairError`."""
        assert isinstance(small, ModelCompleter) and isinstance(large, ModelCompleter)
        return pair_of(small, large, switching, self.registry)

    def fetch(self, name: str, progress: Progress) -> tuple[ModelSpec, Path]:
        """What `load_model` needs: the model's spec, complete, and its directory."""
        spec = self.registry.resolve(name)
        directory = ensure_model(spec, progress=progress)
        return self.registry.recognise(spec, directory), directory

    def _require_memory(
        self,
        spec: ModelSpec,
        directory: Path | None,
        model: ModelSettings,
        budget_bytes: int | None,
    ) -> Wanted:
        """Raises `OutOfMemoryError`, which says what would fit, if there is no room."""
        wanted = wanted_for(spec, directory, model)
        beside: list[Wanted] = []
        if budget_bytes is None:  # what is loaded already is not free any more
            budget_bytes = available_bytes(wanted.device)
        else:
            held = (each.wanted for each in self._held)
            beside = [each for each in held if each is not None and each.device == wanted.device]
        require_memory([*beside, wanted], budget_bytes, self.registry)
        return wanted


def wanted_for(
    spec: ModelSpec,
    directory: Path | None,
    model: ModelSettings,
    context_tokens: int = CONTEXT_TOKENS,
) -> Wanted:
    """The model on its device in its number format, for an estimate of its memory.

    Raises `ModelError` if the device is not there or the format does not serve, and `OSError` if
    the processor is not measured yet and the cache cannot be written.
    """
    device, weights = choose_device(model.device), model.weights
    if device != "cpu":
        weights = "bf16" if device.startswith("cuda") else "f16"
    elif directory is not None:
        weights = choose_weights(weights, directory, cache_root())
    elif weights == AUTO:
        weights = fastest(remembered(cache_root()))
    return Wanted(spec, directory, device, weights, context_tokens)


def pair_of(
    small: ModelCompleter, large: ModelCompleter, switching: Switching, registry: Registry
) -> EngineCompleter:
    """Raises `PairError` if the two cannot work together."""
    try:
        policy = policy_of(switching.policy, Thresholds(**dict(switching.thresholds)))  # type: ignore[arg-type]
    except ValueError as error:  # each is in its range, but they contradict each other
        raise PairError(f"The thresholds do not serve: {error}. Correct [thresholds].") from None
    return pair_under(small, large, policy, registry)


def pair_under(
    small: ModelCompleter, large: ModelCompleter, policy: Policy, registry: Registry
) -> EngineCompleter:
    """A pair that any policy switches; raises `PairError` if the two cannot work together."""
    names = small.loaded.name, large.loaded.name
    if names[0] == names[1]:  # in two number formats, perhaps
        raise PairError(same_model(names[0]))
    check_pair(small.loaded.tokenizer, large.loaded.tokenizer, names, registry)
    engine = PairEngine(
        small.engine,
        large.engine,
        policy,
        Costs(small.loaded.passes, large.loaded.passes),
        apart=small.loaded.device != large.loaded.device,
    )
    return EngineCompleter(engine, small.loaded.tokenizer, small.loaded.prompt_format, policy.name)
