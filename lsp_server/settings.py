"""What a user can set, where it is set, and what is said about a setting that is wrong.

Settings come in layers: the editor's over `polydraft.toml` at the workspace root over the defaults.
A wrong or unknown setting is reported and its default used; it never stops anything. The file
belongs to whoever wrote the workspace, so unless the editor says that the workspace is trusted it
may choose among the models that are already here, but neither name a path nor cause a download.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

import pathspec

from polydraft.completion.types import Budget

FILE_NAME = "polydraft.toml"
DEFAULT_MODEL = "qwen2.5-coder-0.5b"

_LARGEST_FILE = 64 * 1024
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_WEIGHTS = ("auto", "w8a16", "int8", "int8w", "int4w", "bf16", "f32")
# The names of `polydraft.completion.drafters.DRAFTERS`, without what importing them costs.
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
# The names of `polydraft.completion.guessers.GUESSERS`, likewise.
GUESSERS = ("auto", "none", "lookup", "recycling", "layer-skip")
_MULTILINE = {"auto": None, "always": True, "never": False}
# Keys that editors keep in the same section for themselves.
_EDITOR_KEYS = frozenset({"trace", "client"})

Layer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """Which values a setting takes, in words and as a test."""

    expects: str
    accepts: Callable[[Any], bool]


def _integer(low: int, high: int) -> Rule:
    return Rule(
        f"an integer from {low} to {high}",
        lambda value: (
            isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        ),
    )


_BOOLEAN = Rule("true or false", lambda value: isinstance(value, bool))
_STRINGS = Rule(
    "a list of strings",
    lambda value: isinstance(value, list | tuple) and all(isinstance(item, str) for item in value),
)


def _valid_globs(value: Any) -> bool:
    if not _STRINGS.accepts(value):
        return False
    try:
        _globs(tuple(value))
    except ValueError:
        return False
    return True


def _setting(default: Any, rule: Rule) -> Any:
    return field(default=default, metadata={"rule": rule})


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What a model provider needs to know: a registered name, a path or a hub id, a device, and
    the number format of the weights on a CPU."""

    name: str = DEFAULT_MODEL
    device: str = "auto"
    weights: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, with their defaults; `max_file_size` counts characters."""

    model: str = _setting(
        DEFAULT_MODEL,
        Rule("the name of a model", lambda value: isinstance(value, str) and bool(value.strip())),
    )
    device: str = _setting(
        "auto",
        Rule(
            'one of "auto", "cpu", "cuda", "cuda:N", "mps"',
            lambda value: isinstance(value, str) and _DEVICE.fullmatch(value) is not None,
        ),
    )
    weights: str = _setting(
        "auto",
        Rule(
            'one of "auto", "w8a16", "int8", "int8w", "int4w", "bf16", "f32"',
            lambda value: isinstance(value, str) and value in _WEIGHTS,
        ),
    )
    drafter: str = _setting(
        "auto",
        Rule(
            f"one of {', '.join(DRAFTERS)}",
            lambda value: isinstance(value, str) and value in DRAFTERS,
        ),
    )
    guesser: str = _setting(
        "auto",
        Rule(
            f"one of {', '.join(GUESSERS)}",
            lambda value: isinstance(value, str) and value in GUESSERS,
        ),
    )
    k: int = _setting(3, _integer(1, 8))
    prompt_tokens: int = _setting(1024, _integer(64, 32768))
    new_tokens: int = _setting(48, _integer(1, 512))
    deadline_ms: int = _setting(4000, _integer(50, 600_000))
    automatic: bool = _setting(True, _BOOLEAN)
    speculate: bool = _setting(True, _BOOLEAN)
    multiline: str = _setting(
        "auto",
        Rule(
            'one of "auto", "always", "never"',
            lambda value: isinstance(value, str) and value in _MULTILINE,
        ),
    )
    languages_off: tuple[str, ...] = _setting((), _STRINGS)
    exclude: tuple[str, ...] = _setting((), Rule("a list of .gitignore patterns", _valid_globs))
    max_file_size: int = _setting(1_000_000, _integer(1, 100_000_000))

    @property
    def model_settings(self) -> ModelSettings:
        return ModelSettings(self.model, self.device, self.weights)

    @property
    def budget(self) -> Budget:
        return Budget(self.prompt_tokens, self.new_tokens)

    @property
    def wants_multiline(self) -> bool | None:
        return _MULTILINE[self.multiline]

    def excludes(self, path: Path, root: Path | None) -> bool:
        """Whether the `exclude` patterns (relative to the workspace root) name this file."""
        if not self.exclude:
            return False
        if root is not None and path.is_relative_to(root):
            relative: PurePath = path.relative_to(root)
        else:
            relative = PurePath(path.name)
        return _globs(self.exclude).match_file(relative.as_posix())


RULES: Mapping[str, Rule] = {item.name: item.metadata["rule"] for item in fields(Settings)}


@dataclass(frozen=True, slots=True)
class Parsed:
    """The settings that one source gives, and what to tell the user about the others."""

    values: Layer = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def parse(raw: object, source: str) -> Parsed:
    """Read settings as an editor or a TOML file gives them; `source` names it in messages.

    Keys may be in snake_case or camelCase. A null means that the setting is not set.
    """
    if raw is None:
        return Parsed()
    if not isinstance(raw, Mapping):
        return Parsed(problems=(f"{source}: expected a table of settings, not {raw!r}.",))
    values: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in raw.items():
        name = _snake_case(str(key))
        rule = RULES.get(name)
        if value is None or name in _EDITOR_KEYS:
            continue
        if rule is None:
            problems.append(f'{source}: unknown setting "{key}". {_suggestion(name)}')
        elif not rule.accepts(value):
            problems.append(
                f'{source}: "{key}" must be {rule.expects}, not {_shown(value)}. '
                "The setting is ignored."
            )
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return Parsed(values, tuple(problems))


def read_file(path: Path) -> Parsed:
    """Read a settings file; a missing one sets nothing, a broken one is a problem."""
    source = path.name
    try:
        if not path.is_file():
            return Parsed()
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            return Parsed(problems=(f"{source}: larger than 64 KiB, so it is not read.",))
        return parse(tomllib.loads(content.decode("utf-8")), source)
    except OSError as error:
        reason = error.strerror or str(error)
        return Parsed(problems=(f"{source}: cannot be read ({reason}); the defaults are used.",))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        return Parsed(problems=(f"{source}: not valid TOML ({error}); the defaults are used.",))


def without_untrusted_model(
    parsed: Parsed, base: ModelSettings, is_ready: Callable[[str], bool]
) -> Parsed:
    """What an untrusted workspace's file may set: no model or device, save for a model at hand.

    `base` is what holds without the file; `is_ready(name)` says whether a registered model is
    already in the cache.
    """
    name = str(parsed.values.get("model", base.name))
    touched = [key for key in ("model", "device") if key in parsed.values]
    if not touched or (_PLAIN_NAME.fullmatch(name) and is_ready(name)):
        return parsed
    keys = " and ".join(f'"{key}"' for key in touched)
    values = {key: value for key, value in parsed.values.items() if key not in touched}
    problem = (
        f'{FILE_NAME}: {keys} ignored, since this workspace is not trusted and model "{name}" is '
        "not in the cache. Trust the workspace in your editor, or choose the model in your "
        "editor's own settings."
    )
    return Parsed(values, (*parsed.problems, problem))


def merged(layers: Sequence[Layer]) -> Settings:
    """The settings that result from layers of parsed values, the strongest first."""
    values: dict[str, Any] = {}
    for layer in layers:
        values = {**layer, **values}
    return Settings(**values)


@lru_cache(maxsize=16)
def _globs(patterns: tuple[str, ...]) -> pathspec.GitIgnoreSpec:
    return pathspec.GitIgnoreSpec.from_lines(patterns)


def _snake_case(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()


def _suggestion(name: str) -> str:
    near = get_close_matches(name, RULES, n=1, cutoff=0.5)
    if near:
        return f'Did you mean "{near[0]}", which takes {RULES[near[0]].expects}?'
    return f"Known settings: {', '.join(sorted(RULES))}."


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
