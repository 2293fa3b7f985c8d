"""What `polydraft doctor` says of the models that the settings name, and of the default ones."""

from __future__ import annotations

from polydraft.lsp_server.diagnosis import Diagnosis
from polydraft.lsp_server.doctor_pair import InUse, memory_facts, pair_facts, wanted
from polydraft.lsp_server.models_command import (
    DAMAGED,
    NOT_FETCHED,
    ModelState,
    has_fim,
    size,
    state_of,
)
from polydraft.lsp_server.report import Json
from polydraft.lsp_server.settings import FILE_NAME, Settings
from polydraft.models.errors import ModelError
from polydraft.models.registry import DEFAULT_LARGE, DEFAULT_SMALL, Registry
from polydraft.models.spec import ModelSpec


def examine_models(found: Diagnosis, registry: Registry, settings: Settings) -> None:
    """Add the facts `models`, `memory` and `pair`; needs those of the cache and the processor."""
    models: Json = {}
    small, large = settings.model_settings, settings.large_settings
    used = {model.name: model for model in (large, small) if model is not None}
    here: dict[str, InUse] = {}
    for name in dict.fromkeys((small.name, *used, DEFAULT_SMALL, DEFAULT_LARGE)):
        fatal = name == small.name  # without a large model drafts are still made
        try:
            spec = registry.resolve(name)
            state = state_of(spec)
        except ModelError as error:
            found.add(str(error), f"Name another model in {FILE_NAME}.", fatal=fatal)
            continue
        models[name] = {"state": state.state, "bytes_on_disk": state.size, "used": name in used}
        _judge(found, spec, state, used=name in used, fatal=fatal)
        if name in used and state.state != DAMAGED:
            here[name] = InUse(spec, state.path, used[name])
    found.facts["models"] = models
    in_use = [here.get(model.name) for model in (small, large) if model is not None]
    _together(found, registry, settings, [model for model in in_use if model is not None])


def _together(
    found: Diagnosis, registry: Registry, settings: Settings, in_use: list[InUse]
) -> None:
    """Memory for the models in use, and whether two of them are a pair."""
    kernels = found.facts.get("kernels")
    if found.facts["compute"]["device"] is None or (kernels and kernels["chosen"] is None):
        return  # no model runs here, as was reported
    try:
        models = [wanted(model, settings) for model in in_use]
        found.facts["memory"], refusals = memory_facts(
            models, settings.models.memory_bytes, registry
        )
    except ModelError as error:
        found.add(str(error), f"Correct {FILE_NAME}.")
        return
    except OSError:  # reported with the cache
        return
    for refusal in refusals:
        found.add(refusal, f"Close other programs, or name what would fit in {FILE_NAME}.")
    if len(in_use) == 2:
        (small, large), (of_small, of_large) = in_use, models
        found.facts["pair"], problem = pair_facts(small, large, (of_small, of_large), registry)
        if problem:
            found.add(problem, f'Name another `large` model in {FILE_NAME}, or "none".')


def _judge(
    found: Diagnosis, spec: ModelSpec, state: ModelState, *, used: bool, fatal: bool
) -> None:
    if state.state == DAMAGED:
        # The text ends with what to do.
        what, _, do = state.problem.rpartition(". ")
        found.add(f"{what}.", do, fatal=fatal)
    if not used:
        return
    needed = (spec.bytes or 0) + 2 * (spec.parameters or 0)
    free: int = found.facts["cache"]["free_bytes"]
    if state.state == NOT_FETCHED:
        if free < needed:
            found.add(
                f"{spec.name} needs {size(needed)} of disk space; {size(free)} are free.",
                "Free some space, or set POLYDRAFT_CACHE to a directory on another disk.",
                fatal=fatal,
            )
        else:
            found.add(
                f"{spec.name} is not on this machine yet.",
                f"Nothing to do: the first completion fetches it. Or at once: polydraft models pull"
                f" {spec.name}",
            )
    if not has_fim(spec) and spec.family:
        found.add(
            f"{spec.name} does not see the text behind the cursor.",
            f"Use a model with FIM, for example {DEFAULT_SMALL}.",
        )
