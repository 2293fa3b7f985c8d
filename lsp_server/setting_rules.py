"""Which values a setting takes, in words for the user and as a test; and the names among them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import pathspec

from polydraft.completion.quiet import Within
from polydraft.monitors.analysers.catalogue import SPECS

# Names of `polydraft.completion`, without what importing them costs (torch).
DRAFTERS = (
    "auto",
    "greedy",
    "greedy-ahead",
    "nucleus",
    "min-p",
    "beam",
    "led-beam",
    "first-fork",
    "lazy-fork",
    "eager-fork",
    "entropy-fork",
    "gumbel",
    "superposed-plain",
    "superposed-ngrams",
    "superposed",
)
GUESSERS = ("auto", "none", "lookup", "recycling", "layer-skip")
# Likewise of `polydraft.monitors.monitoring`.
MONITORS = ("dereference", "imports", "calls", "types", "strings", "names", "errors")
ANALYSERS = tuple(spec.name for spec in SPECS)
ANALYSED = tuple(dict.fromkeys(language for spec in SPECS for language in spec.languages))
POLICIES = ("ead", "bild", "spec", "cascade", "small", "large")
QUIET = (Within.COMMENTS.value, Within.STRINGS.value)
MULTILINE = MappingProxyType({"auto": None, "always": True, "never": False})
_WEIGHTS = ("auto", "w8a16", "int8", "int8w", "int4w", "bf16", "f32")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a setting takes: in words, as a test, and as a JSON Schema.

    `keys` are those of a table, each with a rule of its own; they are no part of `schema`.
    """

    expects: str
    accepts: Callable[[Any], bool]
    schema: Mapping[str, Any]
    keys: Mapping[str, Rule] | None = None


def integer(low: int, high: int) -> Rule:
    return Rule(
        f"an integer from {low} to {high}",
        lambda value: (
            isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        ),
        {"type": "integer", "minimum": low, "maximum": high},
    )


def number(low: float, high: float = math.inf) -> Rule:
    bounds = {"minimum": low, **({"maximum": high} if math.isfinite(high) else {})}
    return Rule(
        f"a number from {low}" + (f" to {high}" if math.isfinite(high) else ""),
        lambda value: _is_number(value) and low <= value <= high,
        {"type": "number", **bounds},
    )


def one_of(names: Sequence[str], *, quoted: bool = True) -> Rule:
    shown = ", ".join(f'"{name}"' if quoted else name for name in names)
    return Rule(
        f"one of {shown}",
        lambda value: isinstance(value, str) and value in names,
        {"type": "string", "enum": list(names)},
    )


def some_of(names: Sequence[str]) -> Rule:
    return Rule(
        f"a list of some of {', '.join(names)}",
        lambda value: isinstance(value, list | tuple) and all(item in names for item in value),
        {"type": "array", "items": {"type": "string", "enum": list(names)}},
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_globs(value: Any) -> bool:
    if not STRINGS.accepts(value):
        return False
    try:
        globs(tuple(value))
    except ValueError:
        return False
    return True


@lru_cache(maxsize=16)
def globs(patterns: tuple[str, ...]) -> pathspec.GitIgnoreSpec:
    return pathspec.GitIgnoreSpec.from_lines(patterns)


_LIST = {"type": "array", "items": {"type": "string"}}
_NAME = {"type": "string", "pattern": r"\S"}
BOOLEAN = Rule("true or false", lambda value: isinstance(value, bool), {"type": "boolean"})
STRINGS = Rule(
    "a list of strings",
    lambda value: isinstance(value, list | tuple) and all(isinstance(item, str) for item in value),
    _LIST,
)
GLOBS = Rule("a list of .gitignore patterns", _is_globs, _LIST)
MODEL = Rule("the name of a model", _is_name, _NAME)
LARGE = Rule('the name of a model, or "none"', _is_name, _NAME)
DEVICE = Rule(
    'one of "auto", "cpu", "cuda", "cuda:N", "mps"',
    lambda value: isinstance(value, str) and _DEVICE.fullmatch(value) is not None,
    {"type": "string", "pattern": f"^({_DEVICE.pattern})$"},
)
WEIGHTS = one_of(_WEIGHTS)
DRAFTER = one_of(DRAFTERS, quoted=False)
MONITOR_LIST = some_of(MONITORS)
QUIET_LIST = some_of(QUIET)
STRICTNESS = one_of(("graded", "soft", "plain"))
ANALYSER_TABLE = Rule(
    "a table of languages",
    lambda value: isinstance(value, Mapping),
    {"type": "object"},
    MappingProxyType(dict.fromkeys(ANALYSED, one_of((*ANALYSERS, "none")))),
)
GUESSER = one_of(GUESSERS, quoted=False)
POLICY = one_of(POLICIES)
MULTILINES = one_of(tuple(MULTILINE))
MEMORY = Rule(
    'a number of gigabytes above 0, or "auto"',
    lambda value: value == "auto" or (_is_number(value) and value > 0),
    {"anyOf": [{"const": "auto"}, {"type": "number", "exclusiveMinimum": 0}]},
)

_NOT_NEGATIVE = number(0)
_PROBABILITY = number(0, 1)
# The fields of `polydraft.completion.switching.Thresholds`.
THRESHOLDS: Mapping[str, Rule] = MappingProxyType(
    {
        "entropy": _NOT_NEGATIVE,
        "entropy_return": _NOT_NEGATIVE,
        "window": integer(1, 512),
        "stay": integer(1, 512),
        "confidence": _PROBABILITY,
        "rollback": _NOT_NEGATIVE,
        "deferral": _NOT_NEGATIVE,
        "gate": _NOT_NEGATIVE,
    }
)
THRESHOLD_TABLE = Rule(
    "a table", lambda value: isinstance(value, Mapping), {"type": "object"}, THRESHOLDS
)
