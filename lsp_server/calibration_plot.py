"""Quality against the share of large tokens: as SVG with matplotlib, else in letters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polydraft.lsp_server.calibration import LARGE, RANDOM, SMALL, Row, front
from polydraft.lsp_server.plotting import pyplot, save
from polydraft.lsp_server.report import Json

_WIDE, _HIGH = 60, 14  # characters


def draw(answer: Json, target: Path) -> bool:
    """Whether there is a picture: not without matplotlib. The large model alone is a line."""
    plots = pyplot()
    if plots is None:
        return False
    rows = [Row(**each) for each in answer["settings"]]
    figure, axis = plots.subplots(figsize=(7, 4.6))
    groups = (
        ("settings", [row for row in rows if row.choosable], "o", "#9fb8d0"),
        ("best settings", front(rows), "o-", "#2c6fa6"),
        ("at random", _switching(rows), "x--", "#888888"),
        ("small alone", [row for row in rows if row.name == SMALL], "s", "#222222"),
        ("chosen", [row for row in rows if row.name == answer.get("chosen")], "D", "#c0392b"),
    )
    for label, group, style, color in groups:
        if group:
            xs, ys = [row.share for row in group], [row.quality for row in group]
            axis.plot(xs, ys, style, color=color, label=label)
    for row in rows:
        if row.name == LARGE:
            axis.axhline(row.quality, color="#222222", linestyle=":", label="large alone")
    axis.set_xlabel("share of the first drafts' tokens that the large model wrote")
    axis.set_ylabel("right beginning of the line, mean share")
    axis.set_xlim(left=-0.005)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.suptitle(f"{answer['policy']}, {answer['points']} places")
    save(plots, figure, target)
    return True


def in_terminal(rows: Sequence[Row], chosen: str | None) -> str:
    """The same in letters; the large model alone is a line of dashes."""
    marked = [
        *((row, "·") for row in rows if row.choosable),
        *((row, "o") for row in front(rows)),
        *((row, "r") for row in _switching(rows)),
        *((row, "s") for row in rows if row.name == SMALL),
        *((row, "#") for row in rows if row.name == chosen),
    ]
    level = [row.quality for row in rows if row.name == LARGE]
    right = max((row.share for row, _ in marked), default=0.0) or 1.0
    heights = [row.quality for row, _ in marked] + level
    low, high = min(heights), max(heights)

    def line(quality: float) -> int:
        return round((high - quality) / ((high - low) or 1.0) * (_HIGH - 1))

    canvas = [[" "] * _WIDE for _ in range(_HIGH)]
    for each in level:
        canvas[line(each)] = ["-"] * _WIDE
    for row, mark in marked:
        canvas[line(row.quality)][round(row.share / right * (_WIDE - 1))] = mark
    lines = ["quality"]
    for at, cells in enumerate(canvas):
        label = {0: f"{high:.3f}", _HIGH - 1: f"{low:.3f}"}.get(at, "")
        lines.append(f"{label:>7} |{''.join(cells)}")
    lines.append(f"{'':>7} +{'-' * _WIDE}")
    lines.append(f"{'':>7}  0{'share of large tokens':^{_WIDE - 8}}{right:>6.1%}")
    lines.append("s small, --- large, o best settings, · others, r at random, # chosen")
    return "\n".join(lines)


def _switching(rows: Sequence[Row]) -> list[Row]:
    return sorted((row for row in rows if row.name.startswith(RANDOM)), key=lambda row: row.share)
