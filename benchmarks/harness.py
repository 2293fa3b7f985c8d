"""What every benchmark shares: the machine, the table, the JSON. Ratios come from one run."""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from polydraft.models.costs import processor_name
from polydraft.models.threads import available

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Row:
    measure: str
    value: float
    unit: str
    target: str = ""  # for example "<= 1.8"

    @property
    def met(self) -> bool | None:
        if not self.target:
            return None
        relation, _, bound = self.target.partition(" ")
        limit = float(bound.split()[0])
        return self.value <= limit if relation == "<=" else self.value >= limit


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="under a minute, rougher figures")
    return parser.parse_args()


def interleaved(
    runs: Mapping[str, Callable[[], object]], repeats: int, *, warm_up: bool = True
) -> dict[str, list[float]]:
    """Seconds of each run, in turn (A B C A B C …) so that drift of the machine hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values() if warm_up else ():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return times


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Median of the pairwise ratios of two interleaved series."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def peak_memory_mb() -> float:
    """The most memory that this process has had resident so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def make_command(name: str, words: Sequence[str]) -> str:
    """How to run the benchmark of a result again; paths are the machine's own matter."""
    said = " ".join("PATH" if os.sep in word else word for word in words)
    return f"make bench-{name.partition('-')[0]}" + (f" ARGS='{said}'" if said else "")


def report(name: str, rows: Sequence[Row], quick: bool) -> None:
    """Print the table and write `results/NAME.json` (`NAME-quick.json` for a quick run).

    NAME begins with that of the make target and goes on behind a dash.
    """
    table = Table(title=f"{name} on {processor_name()}, {os.cpu_count()} cores")
    for column in ("measure", "value", "unit", "target", ""):
        table.add_column(column, justify="right" if column == "value" else "left")
    for row in rows:
        mark = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[row.met]
        table.add_row(row.measure, f"{row.value:.4g}", row.unit, row.target, mark)
    Console(width=110).print(table)
    RESULTS.mkdir(exist_ok=True)
    result = {
        "benchmark": name,
        "command": make_command(name, sys.argv[1:]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": processor_name(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "threads": available(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "torch": torch.__version__,
            "python": sys.version.split()[0],
        },
        "rows": [asdict(row) for row in rows],
    }
    path = RESULTS / f"{name}{'-quick' if quick else ''}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {path}")
