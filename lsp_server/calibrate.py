"""One calibration, from what is asked to what is written: settings, points, models, result."""

from __future__ import annotations

import datetime
import hashlib
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from polydraft.lsp_server.calibration import (
    LEAST_POINTS,
    POLICIES,
    Target,
    choose,
    grid,
    intervals,
    table,
)
from polydraft.lsp_server.calibration_points import Point, points
from polydraft.lsp_server.calibration_store import CalibrationStore, unused_because
from polydraft.lsp_server.failures import CommandError, UsageError
from polydraft.lsp_server.one_shot import Options, open_workspace
from polydraft.lsp_server.report import CALIBRATE, Json
from polydraft.lsp_server.settings import FILE_NAME, NO_MODEL, Settings
from polydraft.models.registry import DEFAULT_LARGE, load_registry

if TYPE_CHECKING:
    from polydraft.lsp_server.calibration_run import Run
    from polydraft.lsp_server.one_shot import Loader, ModelInUse

_FORMAT = 1  # of what is measured; another one measures anew
# Of each policy; the result names all of them, since they were measured together.
_THRESHOLDS = {
    "bild": ("confidence", "rollback", "gate"),
    "cascade": ("deferral", "gate"),
    "ead": ("entropy", "entropy_return", "window", "stay"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """`options` name models and a policy, None: as the settings say."""

    root: Path
    options: Options
    target: Target
    minutes: float = 5.0
    points: int = 200
    seed: int = 0

    @property
    def command(self) -> str:
        words = ["polydraft", "calibrate", str(self.root)]
        named = ("model", self.options.model), ("large", self.options.large)
        for name, value in (*named, ("policy", self.options.policy)):
            words += [] if value is None else [f"--{name}", value]
        words += [f"--{self.target.kind}", f"{self.target.value:g}"]
        words += ["--minutes", f"{self.minutes:g}", "--points", str(self.points)]
        return shlex.join([*words, "--seed", str(self.seed)])


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be measured; `problems` are those of the settings."""

    asked: Asked
    settings: Settings
    problems: tuple[str, ...]
    points: tuple[Point, ...]


def plan(asked: Asked, is_ready: Callable[[str], bool]) -> Plan:
    """Loads no model. Raises `CommandError` if there is nothing to measure.

    As for `complete`, a workspace's file chooses only among the models that are here.
    """
    workspace = open_workspace(asked.root, asked.options, is_ready)
    settings = workspace.settings
    if settings.policy not in POLICIES:
        raise UsageError(
            f'The policy "{settings.policy}" has no thresholds to choose. Name one that has, for'
            f" example --policy {POLICIES[0]} ({', '.join(POLICIES)})."
        )
    if settings.large == NO_MODEL:
        settings = replace(settings, large=_default_large(settings.model))
    found = points(asked.root, asked.points, asked.seed, workspace.refuse, settings.languages_off)
    if not found:
        raise CommandError(
            f"{asked.root} has no source files that may be read. Files that .gitignore,"
            " .polydraftignore or the setting `exclude` name are left out, and so are text and"
            " data."
        )
    return Plan(asked, settings, workspace.problems, tuple(found))


def _default_large(small: str) -> str:
    registry = load_registry()
    larger = registry.larger_siblings(registry.resolve(small))
    if not larger:
        raise CommandError(
            f"There is no large model to pair with {small}. Name one with --large, or set `large`"
            f" in {FILE_NAME}."
        )
    return DEFAULT_LARGE if DEFAULT_LARGE in larger else larger[0]


def carry_out(
    what: Plan,
    loaded: Sequence[ModelInUse],
    loader: Loader,
    store: CalibrationStore,
    progress: Callable[[int], None],
) -> Json:
    """Measure, choose and write; returns what `polydraft calibrate --json` prints.

    Thresholds are kept only if they meet the target, stand on enough points and the run was not
    interrupted; what was measured is kept in any case.
    """
    from polydraft.completion.switching.lockstep import Lockstep
    from polydraft.lsp_server.calibration_run import policies, run

    asked, policy = what.asked, what.settings.policy
    small, large = loaded
    tried = grid(policy)
    settings = policies(policy, tried, asked.seed)
    lockstep = Lockstep(settings)
    completer = loader.pair_under(small, large, lockstep)
    key = _key(small, large, policy, [*settings], asked.seed)
    done = run(
        completer, lockstep, [*settings], what.points, store, key, 60 * asked.minutes, progress
    )
    facts = _facts(what, small, large, done, tried)
    facts |= {"fresh_points": done.fresh, "interrupted": done.interrupted}
    written = "thresholds" in facts and not done.interrupted
    if written:
        store.write(facts)
    return {**facts, **usage(store, asked.root, is_ready=loader.is_ready), "written": written}


def usage(store: CalibrationStore, root: Path, is_ready: Callable[[str], bool]) -> Json:
    """Whether the result that is kept holds in the workspace, as its settings are now."""
    kept = store.read()
    why = "there is none"
    if kept is not None:
        why = unused_because(kept, open_workspace(root, Options(), is_ready).settings)
    return {"file": str(store.file), "used": not why, "unused_because": why or None}


def _facts(
    what: Plan,
    small: ModelInUse,
    large: ModelInUse,
    done: Run,
    tried: dict[str, dict[str, float]],
) -> Json:
    asked, settings, records = what.asked, what.settings, done.records
    rows = table(records)
    choice = choose(rows, asked.target)
    why = choice.why
    if len(records) < LEAST_POINTS:
        why = f"{len(records)} points say too little; {LEAST_POINTS} are the least"
    facts: Json = {
        "schema": CALIBRATE,
        "workspace": str(asked.root),
        "small": _model(settings.model, small),
        "large": _model(settings.large, large),
        "policy": settings.policy,
        "target": {"kind": asked.target.kind, "value": asked.target.value},
        "points": len(records),
        "files": len({point.path for point in done.points}),
        "seed": asked.seed,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": asked.command,
        "settings": [asdict(row) for row in rows],
        "met": not why,
        "unmet_because": why or None,
    }
    if not why and choice.row is not None:
        facts["chosen"] = choice.row.name
        facts["thresholds"] = _whole(settings.policy, tried[choice.row.name])
        facts["intervals"] = {
            key: asdict(each) for key, each in intervals(records, choice.row.name).items()
        }
    return facts


def _model(name: str, model: ModelInUse) -> Json:
    """By the name that the settings have for it."""
    return {"name": name, "device": model.device, "weights": model.weights}


def _whole(policy: str, values: dict[str, float]) -> dict[str, float]:
    from polydraft.completion.switching import Thresholds

    whole = Thresholds(**values)  # type: ignore[arg-type]
    return {name: getattr(whole, name) for name in _THRESHOLDS[policy]}


def _key(
    small: ModelInUse, large: ModelInUse, policy: str, settings: Sequence[str], seed: int
) -> str:
    """What must be the same for a point that was measured to count."""
    models = [[each.name, each.device, each.weights] for each in (small, large)]
    facts = json.dumps([_FORMAT, models, policy, settings, seed])
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
