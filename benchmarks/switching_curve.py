"""Quality against cost over the thresholds of the switching policies: `make bench-switching`.

One draft a request at the infilling problems (does it pass?) and at the dev points (how much of the
line does it get right?), for a row of thresholds of each policy. References: small alone, large
alone, and random switching, where the large model writes each token with a given probability. Cost
is the share of tokens that the large model wrote, and the time that the counted passes take here.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import devset, problems
from benchmarks.drafters import BUDGET, show
from benchmarks.harness import Row as Measure
from benchmarks.harness import report
from benchmarks.pair import Pair, mean, policy_from, run
from benchmarks.plots import Panel, lines
from polydraft.completion.switching import Policy
from polydraft.completion.switching.chance import Chance
from polydraft.models.cache_dir import cache_root
from polydraft.models.registry import DEFAULT_LARGE, DEFAULT_SMALL

SERIES = {
    "bild": [f"bild:rollback={nats}" for nats in (0.5, 1, 2, 3, 4, 6, 10)],
    "cascade": [f"cascade:deferral={alpha}" for alpha in (0, 0.1, 0.3, 0.6, 1)],
    "ead": [f"ead:entropy={bits}:entropy_return={bits / 2}" for bits in (0.3, 0.7, 1.2, 2, 3)],
    "random": [f"random:{share}" for share in (0.1, 0.2, 0.4, 0.6, 0.8)],
}


def policy_of_text(text: str) -> Policy:
    name, _, share = text.partition(":")
    return Chance(float(share), checks=False) if name == "random" else policy_from(text)


def summary(
    pair: Pair, points: Sequence[dict[str, Any]], solved: Sequence[dict[str, Any]], name: str
) -> dict[str, float]:
    """Of one setting: its quality, and what it cost."""
    own = [record["warm"][name] for record in (*points, *solved)]
    tokens = sum(sum(each["tokens"]) for each in own)
    large = tokens if name == "large" else sum(sum(each["large_tokens"]) for each in own)
    ms = [
        sum(map(pair.small.passes.of, each["small_passes"]))
        + sum(map(pair.large.passes.of, each["large_passes"]))
        for each in own
    ]
    return {
        "pass@1": mean([any(record["warm"][name]["passed"]) for record in solved]),
        "exact@1": mean([record["warm"][name]["first_exact"] for record in points]),
        "prefix@1": mean([record["warm"][name]["prefix"] for record in points]),
        "large tokens": large / max(1, tokens),
        "ms of passes": mean(ms),
    }


def at_share(curve: Sequence[tuple[float, float]], share: float) -> float:
    """The quality of a series of (share, quality) at a share, on straight lines."""
    places = sorted(curve)
    for (x0, y0), (x1, y1) in zip(places, places[1:], strict=False):
        if x0 <= share <= x1:
            return y0 + (y1 - y0) * (share - x0) / (x1 - x0) if x1 > x0 else max(y0, y1)
    return places[-1][1] if share > places[-1][0] else places[0][1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two points, two problems")
    parser.add_argument("--points", type=int, default=60)
    parser.add_argument("--problems", type=int, default=100, help="how many, of a fixed shuffle")
    parser.add_argument("--data", type=Path, help=f"the problems; else {problems.VARIABLE}")
    parser.add_argument("--resume", action="store_true", help="go on with the records kept")
    asked = parser.parse_args()
    settings = [each for series in SERIES.values() for each in series]
    if asked.quick:
        settings = [series[1] for series in SERIES.values()]
    names = ["small", "large", *settings]
    policies = {name: policy_of_text(name) for name in names}
    chosen = problems.sample(
        problems.read(problems.data_file(asked.data)), 2 if asked.quick else asked.problems
    )
    kept = cache_root() / "benchmarks"
    kept.mkdir(parents=True, exist_ok=True)
    places = [kept / f"switching-{kind}.jsonl" for kind in ("points", "problems")]
    for place in places if not asked.resume else ():
        place.unlink(missing_ok=True)
    pair = Pair.load(DEFAULT_SMALL, DEFAULT_LARGE)
    dev = devset.points("dev")[: 2 if asked.quick else asked.points]
    found = run(pair, policies, dev, 1, BUDGET, None, 0, places[0])
    solved = run(
        pair, policies, [problem.point for problem in chosen], 1, problems.BUDGET,
        problems.checker(chosen), 0, places[1],
    )  # fmt: skip
    table = {name: summary(pair, found, solved, name) for name in names}
    show(table, f"{len(found)} points, {len(solved)} problems, one draft")
    ends = [(0.0, "small"), (1.0, "large")]
    panels, rows = [], []
    for key in ("pass@1", "prefix@1"):
        curves = {
            series: sorted(
                [(share, table[end][key]) for share, end in ends]
                + [(table[n]["large tokens"], table[n][key]) for n in settings if n in table
                   and n.startswith(series)]
            )
            for series in SERIES
        }  # fmt: skip
        panels.append(Panel("share of tokens that the large model wrote", key, curves))
        for name in settings:
            if not name.startswith("random"):
                share = table[name]["large tokens"]
                gain = table[name][key] - at_share(curves["random"], share)
                rows.append(Measure(f"{name}: {key} over random switching, same share", gain, ""))
    rows += [
        Measure(f"{name}: {key}", value, "") for name in names for key, value in table[name].items()
    ]
    report("switching", rows, asked.quick)
    if not asked.quick:
        target = Path(__file__).parent.parent / "docs" / "switching.svg"
        lines(panels, f"{len(solved)} problems and {len(found)} points, one draft", target)


if __name__ == "__main__":
    main()
