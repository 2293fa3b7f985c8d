"""What a user can set, and what is said about a setting that is wrong.

Settings come in layers: the editor's over `polydraft.toml` at a workspace folder's root over the
defaults. A wrong or unknown setting is reported and its default used; it never stops anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path, PurePath
from typing import Any

from polydraft.completion.types import Budget
from polydraft.lsp_server.setting_rules import (
    ANALYSER_TABLE,
    BOOLEAN,
    DEVICE,
    DRAFTER,
    GLOBS,
    GUESSER,
    LARGE,
    MEMORY,
    MODEL,
    MONITOR_LIST,
    MONITORS,
    MULTILINE,
    MULTILINES,
    POLICY,
    QUIET,
    QUIET_LIST,
    STRICTNESS,
    STRINGS,
    THRESHOLD_TABLE,
    WEIGHTS,
    Rule,
    globs,
    integer,
)

FILE_NAME = "polydraft.toml"
DEFAULT_MODEL = "qwen2.5-coder-0.5b"
NO_MODEL = "none"
NO_ANALYSER = "none"
PRIVATE = frozenset({"metrics"})  # for the user alone to set, not for a workspace's file

# Keys that editors keep in the same section for themselves.
_EDITOR_KEYS = frozenset({"trace", "client"})

Layer = Mapping[str, Any]


def _setting(default: Any, rule: Rule) -> Any:
    return field(default=default, metadata={"rule": rule})


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What a model provider needs to know: a registered name, a path or a hub id, a device, and
    the number format of the weights on a CPU."""

    name: str = DEFAULT_MODEL
    device: str = "auto"
    weights: str = "auto"


@dataclass(frozen=True, slots=True)
class Switching:
    """How two models share the work: a name of `POLICIES`, and the thresholds that are set."""

    policy: str = "bild"
    thresholds: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Models:
    """The models of a workspace; without a `large` one there is nothing to switch.

    `memory_bytes` is what models may take, None: what is free.
    """

    small: ModelSettings = ModelSettings()
    large: ModelSettings | None = None
    switching: Switching = Switching()
    memory_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, with their defaults; `max_file_size` counts characters."""

    model: str = _setting(DEFAULT_MODEL, MODEL)
    device: str = _setting("auto", DEVICE)
    weights: str = _setting("auto", WEIGHTS)
    large: str = _setting(NO_MODEL, LARGE)
    large_device: str = _setting("auto", DEVICE)
    large_weights: str = _setting("auto", WEIGHTS)
    policy: str = _setting("bild", POLICY)
    thresholds: tuple[tuple[str, float], ...] = _setting((), THRESHOLD_TABLE)
    memory_gb: float | str = _setting("auto", MEMORY)
    drafter: str = _setting("auto", DRAFTER)
    guesser: str = _setting("auto", GUESSER)
    k: int = _setting(3, integer(1, 8))
    prompt_tokens: int = _setting(1024, integer(64, 32768))
    new_tokens: int = _setting(48, integer(1, 512))
    deadline_ms: int = _setting(4000, integer(50, 600_000))
    automatic: bool = _setting(True, BOOLEAN)
    speculate: bool = _setting(True, BOOLEAN)
    metrics: bool = _setting(False, BOOLEAN)
    multiline: str = _setting("auto", MULTILINES)
    languages_off: tuple[str, ...] = _setting((), STRINGS)
    quiet_in: tuple[str, ...] = _setting(QUIET, QUIET_LIST)
    exclude: tuple[str, ...] = _setting((), GLOBS)
    monitors: tuple[str, ...] = _setting(MONITORS, MONITOR_LIST)
    strictness: str = _setting("graded", STRICTNESS)
    analysers: tuple[tuple[str, str], ...] = _setting((), ANALYSER_TABLE)
    max_file_size: int = _setting(1_000_000, integer(1, 100_000_000))

    @property
    def model_settings(self) -> ModelSettings:
        return ModelSettings(self.model, self.device, self.weights)

    @property
    def large_settings(self) -> ModelSettings | None:
        """The large model; None if there is none, or the policy would never ask it."""
        if self.large == NO_MODEL or self.policy == "small":
            return None
        return ModelSettings(self.large, self.large_device, self.large_weights)

    @property
    def models(self) -> Models:
        return Models(
            self.model_settings,
            self.large_settings,
            Switching(self.policy, self.thresholds),
            None if isinstance(self.memory_gb, str) else int(self.memory_gb * 1e9),
        )

    @property
    def budget(self) -> Budget:
        return Budget(self.prompt_tokens, self.new_tokens)

    @property
    def wants_multiline(self) -> bool | None:
        return MULTILINE[self.multiline]

    def excludes(self, path: Path, root: Path | None) -> bool:
        """Whether the `exclude` patterns (relative to the workspace root) name this file."""
        if not self.exclude:
            return False
        if root is not None and path.is_relative_to(root):
            relative: PurePath = path.relative_to(root)
        else:
            relative = PurePath(path.name)
        return globs(self.exclude).match_file(relative.as_posix())


def same_model(name: str) -> str:
    """What to say where one model is to be both of a pair."""
    return (
        f"{name} is both the small and the large model. Choose a larger one for `large`, or set it"
        f' to "{NO_MODEL}".'
    )


RULES: Mapping[str, Rule] = {item.name: item.metadata["rule"] for item in fields(Settings)}
_TABLES = tuple(name for name, rule in RULES.items() if rule.keys is not None)


@dataclass(frozen=True, slots=True)
class Parsed:
    """The settings that one source gives, and what to tell the user about the others.

    The value of a table is a mapping, in which only what is set has a key.
    """

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
    kept = {key: value for key, value in raw.items() if _snake_case(str(key)) not in _EDITOR_KEYS}
    return _parse_table(kept, source, RULES)


def _parse_table(
    raw: Mapping[Any, Any], source: str, rules: Mapping[str, Rule], within: str = ""
) -> Parsed:
    """Read a table by the rules for its keys; `within` names a table inside of the settings."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in raw.items():
        name = _snake_case(str(key))
        rule = rules.get(name)
        if value is None:
            continue
        if rule is None:
            hint = _suggestion(name, rules, within)
            problems.append(f'{source}: unknown setting "{within}{key}". {hint}')
        elif not rule.accepts(value):
            problems.append(
                f'{source}: "{within}{key}" must be {rule.expects}, not {_shown(value)}. '
                "The setting is ignored."
            )
        elif rule.keys is not None:
            inner = _parse_table(value, source, rule.keys, f"{within}{key}.")
            values[name] = inner.values
            problems += inner.problems
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return Parsed(values, tuple(problems))


def merged(layers: Sequence[Layer]) -> Settings:
    """The settings that result from layers of parsed values, the strongest first.

    Of a table, too, the stronger layer wins key by key.
    """
    values: dict[str, Any] = {}
    tables: dict[str, dict[str, Any]] = {name: {} for name in _TABLES}
    for layer in layers:
        values = {**layer, **values}
        for name, table in tables.items():
            tables[name] = {**layer.get(name, {}), **table}
    pairs = {name: tuple(sorted(table.items())) for name, table in tables.items()}
    return Settings(**{**values, **pairs})


def _snake_case(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()


def _suggestion(name: str, rules: Mapping[str, Rule], within: str) -> str:
    near = get_close_matches(name, rules, n=1, cutoff=0.5)
    if near:
        return f'Did you mean "{within}{near[0]}", which takes {rules[near[0]].expects}?'
    return f"Known settings: {', '.join(within + known for known in sorted(rules))}."


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
