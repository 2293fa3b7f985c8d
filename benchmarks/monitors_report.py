"""Tables and targets of the monitors bench, from its records."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.harness import Row, report
from benchmarks.quality import paired_interval

Record = dict[str, Any]
BASE = "none"
# Which variant the targets are about, if it was run.
CHOSEN = "graded"


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))] if values else 0.0


def summary(records: Sequence[Record], variant: str, k: int) -> dict[str, float]:
    """The columns of a variant; times relative to `none` at the same point."""
    own = [record["variants"][f"{variant} k={k}"] for record in records]
    base = [record["variants"][f"{BASE} k={k}"] for record in records]
    mean = statistics.fmean
    columns = {}
    for measure in ("name", "sequence", "prefix", "exact"):
        columns[f"{measure}@1"] = mean(one["first"][measure] for one in own)
        if k > 1:
            columns[f"{measure}@{k}"] = mean(one["every"][measure] for one in own)
    columns["parse"] = mean(flag for one in own for flag in one["parse"] or [False])
    judged = [one["judged"] for one in own if "judged" in one]
    if judged:
        columns["unknown name"] = mean(one["unknown"] for one in judged)
        told = [one["problems"] for one in judged if one["problems"] is not None]
        if told:
            columns["new errors"] = mean(map(bool, told))
    walked = [one["truth"] for one in own if "truth" in one]
    if walked:
        lost = [{loss["hard"] for loss in one["losses"]} for one in walked]
        columns["truth excluded"] = mean(True in kinds for kinds in lost)
        columns["truth penalised"] = mean(False in kinds for kinds in lost)
        columns["truth constrained"] = mean(bool(one["constrained"]) for one in walked)
        columns["intervened"] = mean(any(one["interventions"]) for one in own)
        constrained = [ms for one in own for ms in one["constrained_ms"]]
        columns["ms/token p50"] = percentile(constrained, 0.5)
        columns["ms/token p95"] = percentile(constrained, 0.95)
        columns["late"] = mean(one["late"] > 0 for one in own)
        columns["monitor share"] = sum(one["monitor_s"] for one in own) / sum(
            one["seconds"] for one in own
        )
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(own, base, strict=True)]
    columns["time p50"] = statistics.median(ratios)
    columns["time p95"] = percentile(ratios, 0.95)
    columns["time total"] = sum(one["seconds"] for one in own) / sum(one["seconds"] for one in base)
    columns["ms p50"] = 1000 * statistics.median(one["seconds"] for one in own)
    return columns


def wrong_names(records: Sequence[Record], k: int) -> dict[str, float]:
    """What monitors could do about `none`'s wrong first names, by the judge: shares of all points.

    An upper bound, for a judge that is always right: of the wrong names only those that do not
    exist can be told, and only where the truth is known is it there to be taken instead.
    """
    judged = [
        (one["first"]["name"], one["judged"])
        for record in records
        if "judged" in (one := record["variants"][f"{BASE} k={k}"])
    ]
    if not judged:
        return {}
    wrong = [each for right, each in judged if not right]
    known = [each for each in wrong if each["names"]]
    unknown = [each for each in known if each["unknown"]]
    shares = {
        "wrong names": wrong,
        "wrong names, receiver known": known,
        "wrong names that do not exist": unknown,
        "wrong names that do not exist, the truth does": [e for e in unknown if e["truth_known"]],
        "receiver known": [each for _, each in judged if each["names"]],
        "receiver known, the truth not among its names": [
            each for _, each in judged if each["names"] and not each["truth_known"]
        ],
        "right names that the judge does not know": [
            each for right, each in judged if right and each["unknown"]
        ],
    }
    return {name: len(found) / len(judged) for name, found in shares.items()}


def targets(kept: Mapping[str, Sequence[Record]], k: int) -> list[Row]:
    """What the issue asks of monitors in the first model, which is the small one."""
    records = next(iter(kept.values()))
    if not records or f"{CHOSEN} k={k}" not in records[0]["variants"]:
        return []
    ours, base = summary(records, CHOSEN, k), summary(records, BASE, k)
    rows = [
        Row(f"{CHOSEN} - none: name@1", ours["name@1"] - base["name@1"], "", ">= 0.06"),
        Row(f"{CHOSEN}: truth excluded", ours["truth excluded"], "", "<= 0.01"),
        Row(f"{CHOSEN} / none, time", ours["time total"], "x", "<= 1.1"),
    ]
    for column in ("new errors", "unknown name"):
        if base.get(column):
            ratio = ours[column] / base[column]
            rows.append(Row(f"{CHOSEN} / none, {column}", ratio, "x", "<= 0.5"))
    for model, others in list(kept.items())[1:]:
        large = summary(others, BASE, k)["name@1"]
        rows.append(Row(f"{CHOSEN}: name@1, against {model} without", ours["name@1"], "",
                        f">= {large:.4f}"))  # fmt: skip
    return rows


def gains(records: Sequence[Record], variant: str, k: int) -> list[Row]:
    """Paired intervals of a variant's gain over `none`."""
    rows = []
    for measure in ("name", "sequence"):
        ours, base = (
            [record["variants"][f"{each} k={k}"]["first"][measure] for record in records]
            for each in (variant, BASE)
        )
        label = f"{variant} - none, k={k}, {measure}@1"
        rows.append(Row(label, statistics.fmean(ours) - statistics.fmean(base), ""))
        low, high = paired_interval(ours, base)
        rows += [Row(f"{label}: 95 % from", low, ""), Row(f"{label}: 95 % to", high, "")]
    return rows


def by_kind(records: Sequence[Record], model: str, k: int) -> list[Row]:
    """First names of each kind of dereference."""
    rows = []
    kinds: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record["kind"]):
        kinds.setdefault(record["kind"], []).append(record)
    kinds["store"] = [record for record in records if record["store"]]
    for kind, mine in kinds.items():
        rows.append(Row(f"{model}, k={k}: points of kind {kind}", len(mine), ""))
        for variant in _variants(mine, k):
            found = summary(mine, variant, k)["name@1"]
            rows.append(Row(f"{model} {variant}, k={k}, {kind}: name@1", found, ""))
    return rows


def tell(kept: Mapping[str, Sequence[Record]], ks: Sequence[int], name: str, quick: bool) -> None:
    """Print the tables and write `results/NAME.json`."""
    rows = [row for k in ks for row in targets(kept, k)]
    for k in ks:
        table = {}
        for model, records in kept.items():
            short = model.rpartition("-")[2]
            for variant in _variants(records, k):
                table[f"{short} {variant}"] = summary(records, variant, k)
                if variant != BASE:
                    rows += gains(records, variant, k)
            fresh = [record for record in records if record["fresh"]]
            if fresh and len(fresh) < len(records):
                for variant in _variants(records, k):
                    table[f"{short} {variant}, fresh"] = summary(fresh, variant, k)
            rows += by_kind(records, short, k)
            rows += [
                Row(f"{short}, k={k}: {what}", share, "")
                for what, share in wrong_names(records, k).items()
            ]
        _show(table, f"{name}, k = {k}: {len(next(iter(kept.values())))} points")
        rows += [
            Row(f"{label}, k={k}: {column}", value, "ms" if column.startswith("ms") else "")
            for label, columns in table.items()
            for column, value in columns.items()
        ]
    report(name, rows, quick)


def show_losses(kept: Mapping[str, Sequence[Record]]) -> None:
    """Every point where a mask would have lost the truth, and on what evidence."""
    for record in (record for records in kept.values() for record in records):
        walked = {
            label.partition(" k=")[0]: found["truth"]["losses"]
            for label, found in record["variants"].items()
            if "truth" in found
        }
        for variant, losses in walked.items():
            for loss in losses:
                how = "excluded" if loss["hard"] else f"-{loss['penalty']:.1f} nats"
                store = ", store" if record["store"] else ""
                print(
                    f"{variant}  {how}  {record['point']}  ({record['kind']}{store})\n"
                    f"    {record['line'].strip()}[{record['truth']}] at {loss['text']!r}, token"
                    f" {loss['at']}: {loss['monitor']}, {loss['analyser']}, {loss['grade']},"
                    f" {loss['names']} names"
                )


def _variants(records: Sequence[Record], k: int) -> list[str]:
    ending = f" k={k}"
    names = records[0]["variants"] if records else {}
    return [name.removesuffix(ending) for name in names if name.endswith(ending)]


def _show(table: Mapping[str, Mapping[str, float]], title: str) -> None:
    """Variants are columns: there are fewer of them than measures."""
    grid = Table(title=title)
    grid.add_column("")
    for label in table:
        grid.add_column(label, justify="right")
    measures = dict.fromkeys(column for columns in table.values() for column in columns)
    for measure in measures:
        values = (columns.get(measure) for columns in table.values())
        grid.add_row(measure, *("" if value is None else f"{value:.3g}" for value in values))
    Console(width=150).print(grid)
