"""The benchmarks' pictures, as SVG. They need matplotlib (pip install 'polydraft[bench]').

Without it nothing is drawn, which is said, and the benchmark goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes; `series` maps a name to its points (x, y)."""

    x: str
    y: str
    series: Mapping[str, Sequence[tuple[float, float]]]


def _pyplot() -> Any:
    """matplotlib's pyplot, set to give equal files for equal data; None if it is missing."""
    try:
        import matplotlib
    except ImportError:
        print("no plot: matplotlib is missing (pip install 'polydraft[bench]')")
        return None
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "polydraft"
    from matplotlib import pyplot

    return pyplot


def lines(panels: Sequence[Panel], title: str, target: Path) -> None:
    """Lines over panels side by side; the axes begin at zero, so that lengths can be compared."""
    pyplot = _pyplot()
    if pyplot is None:
        return
    size = (5.5 * len(panels), 4.6)
    figure, axes = pyplot.subplots(1, len(panels), figsize=size, squeeze=False)
    for axis, panel in zip(axes[0], panels, strict=True):
        for name, points in panel.series.items():
            axis.plot(*zip(*points, strict=True), marker="o", markersize=4, label=name)
        axis.set_xlabel(panel.x)
        axis.set_ylabel(panel.y)
        axis.set_xlim(left=0)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        if len(panel.series) > 1:
            axis.legend()
    figure.suptitle(title)
    _save(figure, target)


def _save(figure: Any, target: Path) -> None:
    from matplotlib import pyplot

    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})
    pyplot.close(figure)
    print(f"written to {target}")


def together(
    places: Mapping[str, tuple[float, float]],
) -> list[tuple[list[str], tuple[float, float]]]:
    """Methods by place, from left to right; those too near for two labels share one."""
    xs, ys = zip(*places.values(), strict=True)
    near = [0.06 * (max(values) - min(values)) for values in (xs, ys)]
    found: list[tuple[list[str], tuple[float, float]]] = []
    for method, (x, y) in sorted(places.items(), key=lambda item: item[1]):
        for names, (a, b) in found:
            if abs(x - a) <= near[0] and abs(y - b) <= near[1]:
                names.append(method)
                break
        else:
            found.append(([method], (x, y)))
    return found


def crowded(x: float, y: float, groups: list[tuple[list[str], tuple[float, float]]]) -> bool:
    """Whether another place lies where the label above this one would be."""
    xs, ys = zip(*(place for _, place in groups), strict=True)
    wide, high = 0.25 * (max(xs) - min(xs)), 0.08 * (max(ys) - min(ys))
    others = (place for _, place in groups if place != (x, y))
    return any(abs(a - x) <= wide and b - y <= high and (b, a) > (y, x) for a, b in others)


def quality_against_cost(
    table: Mapping[str, Mapping[str, float]], k: int, points: int, target: Path
) -> None:
    """One point a method: how good its drafts are, and what they cost against one greedy draft."""
    pyplot = _pyplot()
    if pyplot is None:
        return
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.6))
    for axis, (key, label) in zip(
        axes,
        (("exact@k", f"exact match@{k}"), ("prefix@k", f"best common prefix@{k}")),
        strict=True,
    ):
        places = {method: (values["time p50"], values[key]) for method, values in table.items()}
        middle = (min(x for x, _ in places.values()) + max(x for x, _ in places.values())) / 2
        groups = together(places)
        for names, (x, y) in groups:
            ours = "auto" in names
            axis.scatter(x, y, s=45, color="#c0392b" if ours else "#2c6fa6")
            axis.annotate(
                ", ".join(names), (x, y), xytext=(0, -13 if crowded(x, y, groups) else 7),
                ha="left" if x < middle else "right",
                textcoords="offset points", fontsize=8, weight="bold" if ours else "normal",
            )  # fmt: skip
        axis.set_xlabel("wall time of all drafts / one greedy draft (median)")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
        axis.margins(x=0.18, y=0.12)
    figure.suptitle(f"{k} drafts at {points} points")
    _save(figure, target)
