"""What `polydraft stats` says of the outcomes of drafts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from polydraft.lsp_server.acceptance import About
from polydraft.lsp_server.acceptance_store import Stored
from polydraft.lsp_server.failures import CommandError
from polydraft.lsp_server.plotting import pyplot, save
from polydraft.lsp_server.report import STATS, Json

K = TypeVar("K")

HOW_TO = (
    'Nothing is kept yet. Switch it on by the setting "metrics": true in your editor'
    " (docs/stats.md), and see here what becomes of the drafts."
)


@dataclass(frozen=True, slots=True)
class Summary:
    """Drafts that were seen or taken. Shares are from 0 to 1, None where nothing is known."""

    shown: int
    accepted: int  # wholly
    partly: int
    acceptance: float | None  # of the drafts, wholly or partly
    characters: int  # taken
    kept_30s: float | None  # of the characters
    kept_5min: float | None


def summary(stored: Sequence[Stored]) -> Summary:
    outcomes = [each.outcome for each in stored]
    taken = [each for each in outcomes if each.taken]
    wholly = sum(each.taken >= each.characters for each in taken)

    def kept(at: int) -> float | None:
        known = [(each.kept[at], each.taken) for each in taken if each.kept[at] is not None]
        return _share(sum(kept or 0 for kept, _ in known), sum(taken for _, taken in known))

    return Summary(
        shown=len(outcomes),
        accepted=wholly,
        partly=len(taken) - wholly,
        acceptance=_share(len(taken), len(outcomes)),
        characters=sum(each.taken for each in taken),
        kept_30s=kept(0),
        kept_5min=kept(1),
    )


def groups(stored: Iterable[Stored]) -> dict[tuple[str, str, str], Summary]:
    """By models, drafter and language, the most used first."""

    def key(each: Stored) -> tuple[str, str, str]:
        about = each.outcome.about
        return models_of(about), about.drafter, about.language

    return dict(sorted(_by(stored, key).items(), key=lambda item: -item[1].shown))


def models_of(about: About) -> str:
    return f"{about.model} + {about.large}" if about.large else about.model


def to_json(stored: Sequence[Stored], file: Path) -> Json:
    """`polydraft stats --json`."""
    names = ("models", "drafter", "language")
    return {
        "schema": STATS,
        "file": str(file),
        "total": asdict(summary(stored)),
        "groups": [
            dict(zip(names, key, strict=True)) | asdict(each)
            for key, each in groups(stored).items()
        ],
    }


def print_stats(console: Console, stored: Sequence[Stored]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("models", "drafter", "language"):
        table.add_column(heading, no_wrap=True)
    for heading in ("shown", "accepted", "partly", "rate"):
        table.add_column(heading, justify="right")
    table.add_column("", no_wrap=True)
    for heading in ("characters", "kept 30 s", "kept 5 min"):
        table.add_column(heading, justify="right")
    rows = [*groups(stored).items(), (("all", "", ""), summary(stored))]
    for names, each in rows:
        table.add_row(
            *names,
            str(each.shown),
            str(each.accepted),
            str(each.partly),
            _percent(each.acceptance),
            "█" * round(10 * (each.acceptance or 0)),
            str(each.characters),
            _percent(each.kept_30s),
            _percent(each.kept_5min),
        )
    console.print(table)


def draw(stored: Sequence[Stored], target: Path) -> None:
    """Drafts and their acceptance by day, as SVG."""
    plots = pyplot()
    if plots is None:
        raise CommandError("A plot needs matplotlib: pip install matplotlib")
    days = _by(stored, lambda each: datetime.fromtimestamp(each.at, UTC).strftime("%m-%d"))
    figure, (above, below) = plots.subplots(2, sharex=True, figsize=(7, 4.6))
    names, each_day = list(days), list(days.values())
    above.bar(names, [each.shown for each in each_day], color="#c9d6e2", label="shown")
    taken = [each.accepted + each.partly for each in each_day]
    above.bar(names, taken, color="#2c6fa6", label="taken, wholly or partly")
    above.set_ylabel("drafts")
    above.legend(fontsize=8)
    for label, style, shares in (
        ("acceptance", "o-", [each.acceptance for each in each_day]),
        ("characters kept after 5 min", "s--", [each.kept_5min for each in each_day]),
    ):
        known = [
            (day, 100 * share)
            for day, share in zip(names, shares, strict=True)
            if share is not None
        ]
        below.plot([day for day, _ in known], [share for _, share in known], style, label=label)
    below.set_ylabel("%")
    below.set_ylim(0, 105)
    below.legend(fontsize=8)
    save(plots, figure, target)


def _by(stored: Iterable[Stored], key: Callable[[Stored], K]) -> dict[K, Summary]:
    found: dict[K, list[Stored]] = {}
    for each in stored:
        found.setdefault(key(each), []).append(each)
    return {name: summary(members) for name, members in found.items()}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"
