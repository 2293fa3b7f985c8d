"""How often a draft of missing lines passes the function's tests: `make bench-infilling`.

pass@1 is the share of problems that the first draft solves, pass@k that which any of the k drafts
solves: what the user sees first, and what the user can choose. Every method completes every
problem through the product's own completer, as in `benchmarks.drafters`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import problems, sandbox
from benchmarks.drafters import load, run, show, summary
from benchmarks.harness import Row as Measure
from benchmarks.harness import report
from polydraft.completion.drafters import DRAFTERS
from polydraft.models.cache_dir import cache_root

_SHOWN = ("distinct", "passes", "time p50", "time p95", "time total", "first p50")


def measures(
    records: Sequence[dict[str, Any]], methods: Sequence[str], functions: Sequence[str]
) -> list[Measure]:
    """Pass rates with their intervals, and the gain over one greedy draft at the same problems."""
    rows = []
    base = problems.passed(records, "greedy", 1)
    for method in methods:
        for label, k in (("pass@1", 1), ("pass@k", None)):
            values = problems.passed(records, method, k)
            gains = [value - greedy for value, greedy in zip(values, base, strict=True)]
            kinds = [(f"{method}: {label}", values)]
            if method != "greedy":
                kinds.append((f"{method}: {label} - greedy's pass@1", gains))
            for name, series in kinds:
                low, high = problems.interval(series, functions)
                rows += [
                    Measure(name, sum(series) / len(series), ""),
                    Measure(f"{name}: 95 % from", low, ""),
                    Measure(f"{name}: 95 % to", high, ""),
                ]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three problems and four methods")
    parser.add_argument("--data", type=Path, help=f"the problems; else {problems.VARIABLE}")
    parser.add_argument("--problems", type=int, default=100, help="how many, of a fixed shuffle")
    parser.add_argument("--k", type=int, default=3, choices=range(1, 17), metavar="K")
    parser.add_argument("--methods", help="names, by commas; greedy is always among them")
    parser.add_argument("--resume", action="store_true", help="go on with the records kept")
    asked = parser.parse_args()
    every = "nucleus,beam,superposed" if asked.quick else ",".join(DRAFTERS)
    methods = list(dict.fromkeys(["greedy", *(asked.methods or every).split(",")]))
    path = problems.data_file(asked.data)
    chosen = problems.sample(problems.read(path), 3 if asked.quick else asked.problems)
    out = cache_root() / "benchmarks" / f"infilling-k{asked.k}.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    if not asked.resume:
        out.unlink(missing_ok=True)
    print(sandbox.isolation())
    completer, engine = load()
    records = run(
        completer, engine, [problem.point for problem in chosen], methods, asked.k, out,
        problems.BUDGET, problems.checker(chosen),
    )  # fmt: skip
    function_of = {problem.point.name: problem.function for problem in chosen}
    functions = [function_of[record["point"]] for record in records]
    costs = {method: summary(records, method) for method in methods}
    table = {
        method: problems.pass_rates(records, method) | {key: costs[method][key] for key in _SHOWN}
        for method in methods
    }
    title = f"{len(records)} problems, {len(set(functions))} functions, k = {asked.k}"
    show(table, f"{title}; times relative to greedy")
    rows = measures(records, methods, functions)
    rows += [
        Measure(f"{method}: {key}", costs[method][key], "") for method in methods for key in _SHOWN
    ]
    report(f"infilling-k{asked.k}", rows, asked.quick)


if __name__ == "__main__":
    main()
