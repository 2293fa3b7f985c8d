"""Both models at a workspace's points: each point once, under every setting of a grid.

A point is measured whole before the next, so that all settings stand on the same points whenever
the time is over, and is written down at once. One draft a point and no text of other files in the
prompt, so that more points fit into the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from polydraft.completion.protocols import Completer
from polydraft.completion.switching import Thresholds, policy_of
from polydraft.completion.switching.chance import Chance
from polydraft.completion.switching.lockstep import Lockstep
from polydraft.completion.switching.policy import Policy
from polydraft.completion.types import Budget, Completion, Origin, Request
from polydraft.lsp_server.calibration import (
    LARGE,
    RANDOM,
    RATES,
    SMALL,
    Measured,
    Record,
    Values,
    common_share,
)
from polydraft.lsp_server.calibration_points import Point
from polydraft.lsp_server.calibration_store import CalibrationStore
from polydraft.lsp_server.failures import CommandError

BUDGET = Budget(prompt_tokens=384, new_tokens=32)


@dataclass(frozen=True, slots=True)
class Run:
    """`records` of the `points` that are measured; `fresh` of them now."""

    points: tuple[Point, ...]
    records: tuple[Record, ...]
    fresh: int
    interrupted: bool


def policies(name: str, grid: Mapping[str, Values], seed: int) -> dict[str, Policy]:
    """Setting -> policy: the grid's, the two models alone, and switching at random."""
    found: dict[str, Policy] = {SMALL: policy_of(SMALL), LARGE: policy_of(LARGE)}
    for setting, values in grid.items():
        whole = {key: int(value) if key == "stay" else value for key, value in values.items()}
        found[setting] = policy_of(name, Thresholds(**whole))  # type: ignore[arg-type]
    checks = next(found[setting].checks for setting in grid)
    for rate in RATES:
        found[f"{RANDOM} {rate:g}"] = Chance(rate, checks, seed)
    return found


def measure(
    completer: Completer, lockstep: Lockstep, settings: Sequence[str], point: Point
) -> dict[str, Measured]:
    """Every setting at a point. The completer's pair is switched by `lockstep`.

    A run stands for all settings that would have decided as its own did.
    """
    request = Request(
        point.prefix, point.suffix, point.name.split(":")[0], point.language, k=1,
        multiline=False, budget=BUDGET,
    )  # fmt: skip
    lockstep.begin(next(name for name in settings if name not in (SMALL, LARGE)))
    completer.prefill(request)  # of both models, as while typing
    found: dict[str, Measured] = {}
    for setting in settings:
        if setting in found:
            continue
        lockstep.begin(setting)
        done = completer.complete(request)
        if done.stats.notice:
            raise CommandError(done.stats.notice)
        measured = _measured(done, point.truth, setting)
        found |= dict.fromkeys(lockstep.same - found.keys(), measured)
    return {setting: found[setting] for setting in settings}


def _measured(done: Completion, truth: str, setting: str) -> Measured:
    if not done.drafts:
        return Measured(0, 0, 0.0, False, bool(done.stats.escalated), 1000 * done.stats.total_s)
    draft = done.drafts[0]
    text = "" if draft.outdent else draft.text  # the truth is as deep as the cursor
    by_large = sum(part.tokens for part in draft.parts if part.origin is Origin.LARGE)
    return Measured(
        draft.token_count,
        draft.token_count if setting == LARGE else by_large,
        common_share(text, truth),
        text.rstrip() == truth.rstrip(),
        bool(done.stats.escalated),
        round(1000 * done.stats.total_s, 1),
    )


def run(
    completer: Completer,
    lockstep: Lockstep,
    settings: Sequence[str],
    points: Sequence[Point],
    store: CalibrationStore,
    key: str,
    seconds: float,
    progress: Callable[[int], None] = lambda done: None,
) -> Run:
    """Measure the points that no earlier run has, as long as there is time; Ctrl-C ends it."""
    known = store.records(key)
    kept = {point.name: known[point.name] for point in points if point.name in known}
    fresh, interrupted, longest = 0, False, 0.0
    started = time.monotonic()
    progress(len(kept))
    try:
        for point in points:
            if point.name in kept:
                continue
            begun = time.monotonic()
            if begun - started + longest > seconds:
                break
            record = measure(completer, lockstep, settings, point)
            longest = max(longest, time.monotonic() - begun)
            store.append(key, point.name, record)
            kept[point.name] = record
            fresh += 1
            progress(len(kept))
    except KeyboardInterrupt:
        interrupted = True
    there = tuple(point for point in points if point.name in kept)
    return Run(there, tuple(kept[point.name] for point in there), fresh, interrupted)
