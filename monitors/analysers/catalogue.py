"""The analysers that polydraft knows: for which languages, how they are got, how they are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from polydraft.monitors.analysers.jedi import JediAnalyser
from polydraft.monitors.analysis import Analyser, AnalyserError, AnalyserSettings


@dataclass(frozen=True, slots=True)
class Spec:
    """`safe`: it runs nothing of the workspace, so one that is not trusted may be read by it.

    `make` raises `AnalyserError` if it is not there, with a text that says how to get it.
    """

    name: str
    languages: tuple[str, ...]  # LSP language ids
    how_to_get: str
    safe: bool
    make: Callable[[AnalyserSettings], Analyser]


SPECS: tuple[Spec, ...] = (
    Spec("jedi", ("python",), "It comes with polydraft.", True, JediAnalyser),
)


def default_for(language: str) -> str | None:
    """The analyser of a language if the settings name none; None: there is none."""
    return next((spec.name for spec in SPECS if language in spec.languages), None)


def create(name: str, settings: AnalyserSettings) -> Analyser:
    """The analyser of that name; it starts at its first question.

    Raises `AnalyserError` with a text for users if it is not there, or may not be used here.
    """
    spec = next((spec for spec in SPECS if spec.name == name), None)
    if spec is None:
        known = ", ".join(each.name for each in SPECS)
        raise AnalyserError(f"There is no analyser {name!r}; known are {known}.")
    if not spec.safe and not settings.trusted:
        raise AnalyserError(
            f"{name} runs programs of the workspace, so it is not used: this workspace is not"
            " trusted. Trust it in your editor, or choose another analyser."
        )
    return spec.make(settings)
