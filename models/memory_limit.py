"""Refuses models that do not fit into memory, before they are loaded, and says what would fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polydraft.models.checkpoint import read_config
from polydraft.models.costs import ACCURATE, NATIVE, available_formats
from polydraft.models.errors import ModelError, OutOfMemoryError
from polydraft.models.memory import Need, estimate, peak
from polydraft.models.native_support import supports
from polydraft.models.registry import Registry
from polydraft.models.spec import ModelSpec
from polydraft.models.store import is_ready

_SHOWN = 4  # alternatives that a refusal names


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model that is to be loaded; the fields are those of `memory.estimate`."""

    spec: ModelSpec
    directory: Path | None
    device: str
    weights: str
    context_tokens: int
    cache_dir: Path | None = None

    def need(self) -> Need | None:
        """Raises `ModelError` if the directory's configuration cannot be read."""
        return estimate(
            self.spec,
            self.directory,
            self.device,
            self.weights,
            self.context_tokens,
            cache_dir=self.cache_dir,
        )

    def __str__(self) -> str:
        return f"{self.spec.name} ({self.weights})"


def require_memory(
    wanted: Sequence[Wanted], budget_bytes: int | None, registry: Registry | None
) -> None:
    """Raises `OutOfMemoryError` with the text of `refuse` if there is one."""
    if text := refuse(wanted, budget_bytes, registry):
        raise OutOfMemoryError(text)


def refuse(
    wanted: Sequence[Wanted],  # of ONE device, in the order of loading
    budget_bytes: int | None,  # that the device has for them; None: not known
    registry: Registry | None,  # where other models may come from
) -> str | None:
    """Why these models do not fit, and what would; None if they do, or if that is not known.

    Raises `ModelError` if a configuration cannot be read.
    """
    if budget_bytes is None:
        return None
    known = [(each, need) for each in wanted if (need := each.need()) is not None]
    needs = [need for _, need in known]
    fitting = next((n for n in range(len(known)) if peak(needs[: n + 1]) > budget_bytes), None)
    if fitting is None:
        return None
    refused, kept = known[fitting][0], known[:fitting]
    beside = f" beside {' and '.join(str(each) for each, _ in kept)}" if kept else ""
    lines = [
        f"{refused} does not fit into memory{beside}: {_gb(peak(needs[: fitting + 1]))} needed,"
        f" {_gb(budget_bytes)} available on {refused.device}."
    ]
    lines += [f"  - {each}: {_parts(need)}" for each, need in known[: fitting + 1]]
    held = [need for _, need in kept]
    others = [
        (other, total)
        for other in _alternatives(refused, [each.spec for each, _ in kept], registry)
        if (need := other.need()) is not None and (total := peak([*held, need])) <= budget_bytes
    ]
    if others:
        lines.append("What would fit instead:")
        lines += [f"  - {other}: {_gb(total)} in all" for other, total in others[:_SHOWN]]
    else:
        lines.append(
            f"No smaller model or number format would fit in place of {refused.spec.name}; free"
            " some memory" + (f", or do without {refused.spec.name}." if kept else ".")
        )
    return "\n".join(lines)


def _alternatives(
    refused: Wanted, beside: Sequence[ModelSpec], registry: Registry | None
) -> Iterator[Wanted]:
    """The same model in other formats, then smaller ones of its family, the largest first; those
    no larger than what it was to stand beside are of no use."""
    for weights in _formats(refused):
        yield replace(refused, weights=weights)
    least = max((spec.parameters or 0 for spec in beside), default=0)
    most = refused.spec.parameters or 0
    smaller = [
        spec
        for spec in registry or ()
        if spec.family == refused.spec.family and least < (spec.parameters or 0) < most
    ]
    for spec in sorted(smaller, key=lambda spec: -(spec.parameters or 0)):
        yield replace(refused, spec=spec, directory=_at_hand(spec, refused.cache_dir))


def _formats(refused: Wanted) -> list[str]:
    """Accurate formats of a CPU that run here and serve the model, without the refused one."""
    if refused.device != "cpu":
        return []
    formats = [name for name in ACCURATE if name in available_formats()]
    if refused.directory and not supports(read_config(refused.directory).get_text_config()):
        formats = [name for name in formats if name != NATIVE]
    return [name for name in formats if name != refused.weights]


def _at_hand(spec: ModelSpec, cache_dir: Path | None) -> Path | None:
    try:
        return is_ready(spec, cache_dir)
    except ModelError:  # damaged: it will be fetched anew
        return None


def _parts(need: Need) -> str:
    return (
        f"{_gb(need.weights)} of weights, {_gb(need.cache)} of caches, {_gb(need.working)} more"
        " while it is loaded"
    )


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
