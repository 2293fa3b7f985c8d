"""Puts the parts together: a model's name becomes a completer, settings become a server.

The one module that knows all parts; everything else gets what it needs handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from polydraft.completion.completer import EngineCompleter
from polydraft.completion.drafters.auto import Auto
from polydraft.completion.engine import Engine
from polydraft.completion.protocols import Completer
from polydraft.lsp_server.completers import OnProgress
from polydraft.lsp_server.settings import ModelSettings, Switching
from polydraft.models.load import LoadedModel, load_model
from polydraft.models.progress import Progress
from polydraft.models.registry import Registry, load_registry
from polydraft.models.spec import ModelSpec
from polydraft.models.store import ensure_model, is_ready

STAGES = {
    "wait": "Waiting for another polydraft that fetches the same model",
    "download": "Downloading {name}",
    "verify": "Checking {name}",
    "convert": "Converting {name} (once)",
}


@dataclass(frozen=True, slots=True)
class ModelProvider:
    """Implements `completers.CompleterProvider` over the registry and the cache."""

    registry: Registry = field(default_factory=load_registry)

    def is_ready(self, name: str) -> bool:
        return is_ready(self.registry.get(name)) is not None

    def load(
        self, model: ModelSettings, progress: OnProgress, *, budget_bytes: int | None = None
    ) -> EngineCompleter:
        return completer_for(self.load_model(model, progress))

    def pair(self, small: Completer, large: Completer, switching: Switching) -> Completer:
        """One completer of two, if their token ids mean the same."""
        raise NotImplementedError("This polydraft cannot yet run two models as a pair.")

    def load_model(self, model: ModelSettings, progress: OnProgress) -> LoadedModel:
        """Fetch, convert and load; raises `ModelError` with a text for the user."""

        def report(stage: str, done: int, total: int) -> None:
            progress(STAGES[stage].format(name=model.name), done / total if total else None)

        spec, directory = self.fetch(model.name, report)
        progress(f"Loading {model.name}", None)
        return load_model(spec, directory, device=model.device, weights=model.weights)

    def fetch(self, name: str, progress: Progress) -> tuple[ModelSpec, Path]:
        """What `load_model` needs: the model's spec, complete, and its directory."""
        spec = self.registry.resolve(name)
        directory = ensure_model(spec, progress=progress)
        return self.registry.recognise(spec, directory), directory


def completer_for(loaded: LoadedModel) -> EngineCompleter:
    engine = Engine(loaded.model, Auto(loaded.passes))
    return EngineCompleter(engine, loaded.tokenizer, loaded.prompt_format)
