"""From measured points to thresholds: pure functions of records, without models or files.

Glossary
    setting   a name that stands for a policy's thresholds; among them "small", "large" and
              "random RATE", which no one can choose and which the others are compared with
    share     tokens that the large model wrote, of all tokens of the first drafts
    quality   how much of the rest of a line the first draft gets right: the length of its right
              beginning over the length of what the file says, mean over the points
    closed    how far a setting's quality is from the small model's (0) to the large one's (1)
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

SMALL, LARGE, RANDOM = "small", "large", "random"
RATES = (0.25, 0.5, 0.75)  # of switching at random
LEAST_POINTS = 10  # fewer say nothing
_ROUNDS = 1000  # of the bootstrap

Values = Mapping[str, float]

_GATES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
_GRIDS: Mapping[str, Mapping[str, Sequence[float]]] = MappingProxyType(
    {
        "bild": {"rollback": (0.5, 1.0, 2.0, 3.0, 4.0, 6.0), "gate": _GATES},
        "cascade": {"deferral": (0.0, 0.1, 0.2, 0.4, 0.7, 1.0), "gate": _GATES},
        "ead": {"entropy": (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0), "stay": (1, 3)},
    }
)
POLICIES = tuple(_GRIDS)


def grid(policy: str) -> dict[str, dict[str, float]]:
    """Setting -> thresholds, for all that are tried."""
    axes = _GRIDS[policy]
    found = {}
    for values in product(*axes.values()):
        thresholds = dict(zip(axes, values, strict=True))
        name = " ".join(f"{key}={value:g}" for key, value in thresholds.items())
        if policy == "ead":  # one line of the two, as in the defaults
            thresholds["entropy_return"] = thresholds["entropy"] / 2
        found[name] = thresholds
    return found


@dataclass(frozen=True, slots=True)
class Measured:
    """A setting's first draft at one point."""

    tokens: int
    large_tokens: int
    right: float  # 0 to 1
    exact: bool
    asked: bool  # the large model
    ms: float


Record = Mapping[str, Measured]  # a point's, by setting


@dataclass(frozen=True, slots=True)
class Row:
    """A setting over all points."""

    name: str
    share: float
    quality: float
    exact: float
    asked: float
    ms: float
    closed: float | None  # None: the large model is no better than the small one

    @property
    def choosable(self) -> bool:
        return self.name not in (SMALL, LARGE) and not self.name.startswith(RANDOM)


@dataclass(frozen=True, slots=True)
class Target:
    """`share`: at most that share of large tokens; `quality`: at least that much of the gap."""

    kind: str
    value: float

    def __str__(self) -> str:
        if self.kind == "share":
            return f"at most {self.value:.0%} of the tokens from the large model"
        return f"at least {self.value:.0%} of the gap between the models closed"


@dataclass(frozen=True, slots=True)
class Interval:
    """95 %, by resampling the points."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The row that meets the target; None, and why, if none does."""

    row: Row | None
    why: str = ""


def common_share(text: str, truth: str) -> float:
    """The right beginning of `text`, as a share of the truth."""
    text, truth = text.rstrip(), truth.rstrip()
    right = next(
        (at for at, pair in enumerate(zip(text, truth, strict=False)) if pair[0] != pair[1]),
        min(len(text), len(truth)),
    )
    return right / len(truth)


def table(records: Sequence[Record]) -> list[Row]:
    """A row for each setting that all records have."""
    if not records:
        return []
    names = [name for name in records[0] if all(name in record for record in records)]
    ends = {name: _quality(records, name) for name in (SMALL, LARGE) if name in names}
    gap = ends.get(LARGE, 0.0) - ends.get(SMALL, 0.0)
    rows = []
    for name in names:
        own = [record[name] for record in records]
        quality = _quality(records, name)
        rows.append(
            Row(
                name,
                _share(own),
                quality,
                statistics.fmean(each.exact for each in own),
                statistics.fmean(each.asked for each in own),
                statistics.fmean(each.ms for each in own),
                (quality - ends[SMALL]) / gap if gap > 0 else None,
            )
        )
    return rows


def choose(rows: Sequence[Row], target: Target) -> Choice:
    """By a share: the best quality within it. By quality: the least share that reaches it.

    What is equal goes to the setting that asks the large model less often.
    """
    own = [row for row in rows if row.choosable]
    if not own:
        return Choice(None, "nothing was measured")
    if target.kind == "share":
        fitting = [row for row in own if row.share <= target.value]
        if not fitting:
            least = min(own, key=lambda row: row.share)
            return Choice(
                None,
                f"no setting has {target}; the least is {least.share:.1%}, with {least.name}",
            )
        return Choice(max(fitting, key=lambda row: (row.quality, -row.share, -row.asked)))
    if any(row.closed is None for row in own):
        return Choice(
            None,
            "the large model is no better than the small one at these points, so there is no gap"
            " to close; take more points, or ask for a share",
        )
    reaching = [row for row in own if (row.closed or 0.0) >= target.value]
    if not reaching:
        best = max(own, key=lambda row: row.closed or 0.0)
        return Choice(
            None, f"no setting has {target}; the most is {best.closed:.0%}, with {best.name}"
        )
    return Choice(min(reaching, key=lambda row: (row.share, row.asked, -row.quality)))


def front(rows: Iterable[Row]) -> list[Row]:
    """The choosable rows that no other one beats in quality at no more cost, by share."""
    own = sorted(
        (row for row in rows if row.choosable),
        key=lambda row: (row.share, -row.quality, row.asked),
    )
    found: list[Row] = []
    for row in own:
        if not found or row.quality > found[-1].quality:
            found.append(row)
    return found


def intervals(records: Sequence[Record], name: str, seed: int = 0) -> dict[str, Interval]:
    """Of a setting's share and quality, and of its gain in quality over the small model's."""
    chooser = random.Random(seed)
    drawn: dict[str, list[float]] = {"share": [], "quality": [], "gain": []}
    for _ in range(_ROUNDS):
        sample = chooser.choices(records, k=len(records))
        quality = _quality(sample, name)
        drawn["share"].append(_share([record[name] for record in sample]))
        drawn["quality"].append(quality)
        drawn["gain"].append(quality - _quality(sample, SMALL))
    cut = _ROUNDS // 40
    return {
        key: Interval(values[cut], values[-cut - 1])
        for key, values in ((key, sorted(values)) for key, values in drawn.items())
    }


def _share(own: Sequence[Measured]) -> float:
    return sum(each.large_tokens for each in own) / max(1, sum(each.tokens for each in own))


def _quality(records: Sequence[Record], name: str) -> float:
    return statistics.fmean(record[name].right for record in records)
