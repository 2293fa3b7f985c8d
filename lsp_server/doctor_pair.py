"""What `polydraft doctor` says of the models in use: memory, tokenizers, what steps cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polydraft.lsp_server.report import Json
from polydraft.lsp_server.settings import ModelSettings, Settings
from polydraft.models.cache_dir import cache_root
from polydraft.models.errors import ModelError
from polydraft.models.memory import available_bytes, peak
from polydraft.models.memory_limit import Wanted, refuse
from polydraft.models.registry import Registry
from polydraft.models.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class InUse:
    """A model that the settings name; `directory` is None if its files are not here."""

    spec: ModelSpec
    directory: Path | None
    settings: ModelSettings


def wanted(model: InUse, settings: Settings) -> Wanted:
    """The model on its device in its number format.

    Raises `ModelError` if the device is not there or the format does not serve, and `OSError` if
    the processor is not measured yet and the cache cannot be written.
    """
    from polydraft.lsp_server.wiring import wanted_for

    tokens = settings.prompt_tokens + settings.k * settings.new_tokens
    return wanted_for(model.spec, model.directory, model.settings, tokens)


def memory_facts(
    models: Sequence[Wanted], budget_bytes: int | None, registry: Registry
) -> tuple[Json, list[str]]:
    """By device what the models need and what is free, and a text for each refusal.

    `budget_bytes` is what models may take, None: what is free. Raises `ModelError` if a model's
    configuration cannot be read.
    """
    facts: Json = {}
    refusals = []
    for device in dict.fromkeys(model.device for model in models):
        here = [model for model in models if model.device == device]
        needs = {model: need for model in here if (need := model.need()) is not None}
        free = available_bytes(device) if budget_bytes is None else budget_bytes
        needed = peak(needs.values()) if len(needs) == len(here) else None
        facts[device] = {
            "needed_bytes": needed,
            "available_bytes": free,
            "fits": None if needed is None or free is None else needed <= free,
            "models": {
                model.spec.name: {
                    "weights": model.weights,
                    "weights_bytes": need.weights,
                    "cache_bytes": need.cache,
                    "working_bytes": need.working,
                }
                for model, need in needs.items()
            },
        }
        if refusal := refuse(here, free, registry):
            refusals.append(refusal)
    return facts, refusals


def pair_facts(
    small: InUse, large: InUse, models: tuple[Wanted, Wanted], registry: Registry
) -> tuple[Json, str | None]:
    """Whether the tokenizers agree and what a step of each costs, and what keeps them apart."""
    same, problem = _same_tokenizer(small, large, registry)
    from polydraft.models.pass_costs import remembered

    passes = remembered(cache_root())
    steps = [
        costs.of(1)
        if (costs := passes.get(f"{each.spec.name}, {each.device}, {each.weights}"))
        else None
        for each in models
    ]
    of_small, of_large = steps
    facts: Json = {
        "small": small.spec.name,
        "large": large.spec.name,
        "same_tokenizer": same,
        "step_ms_small": of_small,
        "step_ms_large": of_large,
        "step_ratio": round(of_large / of_small, 2) if of_small and of_large else None,
    }
    return facts, problem


def _same_tokenizer(
    small: InUse, large: InUse, registry: Registry
) -> tuple[bool | None, str | None]:
    """None where a tokenizer is not here or cannot be read, which is then the problem."""
    if small.directory is None or large.directory is None:
        return None, None
    from polydraft.models.errors import PairError
    from polydraft.models.pairing import check_pair
    from polydraft.models.tokenizer import ModelTokenizer

    try:
        check_pair(
            ModelTokenizer.from_directory(small.directory),
            ModelTokenizer.from_directory(large.directory),
            (small.spec.name, large.spec.name),
            registry,
        )
    except PairError as error:
        return False, str(error)
    except ModelError as error:
        return None, str(error)
    return True, None
