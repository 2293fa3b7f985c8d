"""Quality against cost, one point a method. Needs matplotlib: pip install 'polydraft[bench]'."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def quality_against_cost(
    table: Mapping[str, Mapping[str, float]], k: int, points: int, target: Path
) -> None:
    """Write an SVG; says so and goes on when matplotlib is missing."""
    try:
        import matplotlib
    except ImportError:
        print("no plot: matplotlib is missing (pip install 'polydraft[bench]')")
        return
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "polydraft"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.6))
    for axis, (key, label) in zip(
        axes,
        (("exact@k", f"exact match@{k}"), ("prefix@k", f"best common prefix@{k}")),
        strict=True,
    ):
        for method, values in table.items():
            ours = method == "superposed"
            axis.scatter(
                values["time p50"], values[key], s=45, color="#c0392b" if ours else "#2c6fa6"
            )
            axis.annotate(
                method, (values["time p50"], values[key]), xytext=(5, 4),
                textcoords="offset points", fontsize=8, weight="bold" if ours else "normal",
            )  # fmt: skip
        axis.set_xlabel("wall time of all drafts / one greedy draft (median)")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
        axis.margins(x=0.18, y=0.12)
    figure.suptitle(f"{k} drafts at {points} points")
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})
    print(f"written to {target}")
