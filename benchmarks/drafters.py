"""Judges the drafting methods on the same points: quality against cost. `make bench-drafters`.

Every method completes every point through the product's own completer (prompt, healing, end rules,
text filters, ranking) behind the same cached prompt; methods take turns in rotating order. What is
timed is the drafter alone. Rows that are not exact are scored by an exact pass outside of the time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import devset, problems, quality, sandbox
from benchmarks.harness import Row as Measure
from benchmarks.harness import peak_memory_mb, report
from benchmarks.plots import quality_against_cost
from polydraft.completion.completer import EngineCompleter
from polydraft.completion.drafters import DRAFTERS, Drafter, Task
from polydraft.completion.drafters.auto import Auto
from polydraft.completion.engine import Engine
from polydraft.completion.protocols import Feed, Model
from polydraft.completion.rows import Row
from polydraft.completion.tree import DraftTree
from polydraft.completion.types import Budget, Request
from polydraft.models.cache_dir import cache_root
from polydraft.models.kv_cache import KVCache
from polydraft.models.load import load_model
from polydraft.models.native_cache import NativeCache
from polydraft.models.registry import DEFAULT_SMALL, load_registry
from polydraft.models.store import ensure_model

PROMPT_TOKENS, NEW_TOKENS = 288, 48
BUDGET = Budget(PROMPT_TOKENS, NEW_TOKENS)
MAIN = "auto"

Passes = Callable[[devset.Point, str], bool]  # whether a completed document passes its tests


@dataclass
class Timed:
    """A drafter with a stopwatch; implements `Drafter`."""

    drafter: Drafter
    seconds: float = 0.0
    first: float = 0.0
    passes: int = 0
    slots: int = 0
    scores: list[float] = field(default_factory=list)  # exact sums, in the order of the rows

    @property
    def name(self) -> str:
        return self.drafter.name

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        heard: list[float] = []
        start = time.perf_counter()
        told = replace(task, on_row=lambda row: heard.append(time.perf_counter() - start))
        passes = tree.passes
        rows = self.drafter.draft(tree, logits, told)
        self.seconds = time.perf_counter() - start
        self.first = heard[0] if heard else self.seconds
        self.passes, self.slots = tree.passes - passes, tree.next_slot - tree.root
        for row in rows:
            if not row.exact:
                row.logprobs = exact_logprobs(tree, logits, row.ids)
        self.scores = [sum(row.logprobs) for row in rows]
        return rows


def exact_logprobs(tree: DraftTree, logits: torch.Tensor, ids: Sequence[int]) -> list[float]:
    """The exact model's log-probabilities of a row's tokens; logits [V] are those before it."""
    rows = logits[None]
    if len(ids) > 1:
        first = tree.next_slot
        paths = [list(range(first, first + i)) for i in range(len(ids) - 1)]
        rows = torch.cat([rows, tree.feed(torch.tensor(ids[:-1]), paths)])
    picked = torch.log_softmax(rows, -1)[range(len(ids)), list(ids)]
    return [float(p) for p in picked]


def judge(
    completer: EngineCompleter,
    engine: Engine,
    point: devset.Point,
    method: str,
    k: int,
    budget: Budget = BUDGET,
    passes: Passes | None = None,
) -> dict[str, Any]:
    """One method at one point."""
    own = engine.drafter  # knows what passes cost here
    timed = Timed(own if method == "auto" else DRAFTERS[method])
    engine.drafter = timed
    request = Request(
        point.prefix, point.suffix, point.path, "python", k=k, multiline=point.kind == "block",
        budget=budget,
    )  # fmt: skip
    try:
        drafts = completer.complete(request).drafts
    finally:
        engine.drafter = own
    texts = [quality.text_here(draft) for draft in drafts]
    whole = ["".join(draft.accepted(point.prefix, point.suffix)) for draft in drafts]
    return {
        "first_exact": quality.exact(texts[:1], point.truth),
        "exact": quality.exact(texts, point.truth),
        "similarity": quality.edit_similarity(texts, point.truth),
        "prefix": quality.best_prefix(texts, point.truth),
        "distinct": quality.distinct(texts),
        "parse": statistics.fmean(map(quality.parses, whole)) if whole else 0.0,
        "passed": [passes(point, document) for document in whole] if passes else [],
        "best_logprob": max(timed.scores, default=None),
        "mean_logprob": statistics.fmean(timed.scores) if timed.scores else None,
        "seconds": timed.seconds,
        "first_seconds": timed.first,
        "passes": timed.passes,
        "slots": timed.slots,
        "texts": texts,
    }


def run(
    completer: EngineCompleter,
    engine: Engine,
    chosen: Sequence[devset.Point],
    methods: Sequence[str],
    k: int,
    out: Path,
    budget: Budget = BUDGET,
    passes: Passes | None = None,
) -> list[dict[str, Any]]:
    """Every method at every point; records are kept in `out`, and points found there are done."""
    records = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    done = {record["point"] for record in records}
    for number, point in enumerate(chosen):
        if point.name in done:
            continue
        judge(completer, engine, point, "greedy", 1, budget)  # the prompt comes into the cache
        turn = number % len(methods)
        order = [*methods[turn:], *methods[:turn]]
        found = {
            method: judge(completer, engine, point, method, k, budget, passes) for method in order
        }
        record = {"point": point.name, "kind": point.kind, "truth": point.truth, "methods": found}
        records.append(record)
        with out.open("a") as file:
            file.write(json.dumps(record) + "\n")
    names = {point.name for point in chosen}
    return [record for record in records if record["point"] in names]


def summary(records: Sequence[dict[str, Any]], method: str) -> dict[str, float]:
    """Means over the points; times relative to greedy's at the same point."""
    own = [record["methods"][method] for record in records]
    greedy = [record["methods"]["greedy"] for record in records]
    ratios = sorted(a["seconds"] / b["seconds"] for a, b in zip(own, greedy, strict=True))
    firsts = [a["first_seconds"] / b["seconds"] for a, b in zip(own, greedy, strict=True)]

    def mean(key: str) -> float:
        return statistics.fmean(record[key] for record in own if record[key] is not None)

    return {
        "exact@1": mean("first_exact"),
        "exact@k": mean("exact"),
        "similarity@k": mean("similarity"),
        "prefix@k": mean("prefix"),
        "distinct": mean("distinct"),
        "best logprob": mean("best_logprob"),
        "mean logprob": mean("mean_logprob"),
        "parse": mean("parse"),
        "passes": mean("passes"),
        "time p50": statistics.median(ratios),
        "time p95": ratios[int(0.95 * (len(ratios) - 1))],
        "time total": sum(a["seconds"] for a in own) / sum(b["seconds"] for b in greedy),
        "first p50": statistics.median(firsts),
        "slots": mean("slots"),
    }


def targets(table: dict[str, dict[str, float]], k: int, chosen: str) -> list[Measure]:
    """What issue and README promise of the method `chosen`, against the others of the run."""
    ours, greedy = table[chosen], table["greedy"]
    rows = []
    plain = table.get("superposed-plain")
    if plain:
        limit = "<= 1.15" if k == 3 else "<= 1.3"
        rows.append(Measure("plain superposed / greedy, wall time", plain["time p50"], "x", limit))
    if k == 3:
        rivals = [table[name] for name in ("beam", "nucleus") if name in table]
        for key in ("exact@k", "prefix@k") if rivals else ():
            bound = f">= {max(rival[key] for rival in rivals):.4f}"
            rows.append(
                Measure(f"{chosen}: {key}, at least beam's and nucleus'", ours[key], "", bound)
            )
        rows += [
            Measure(f"{chosen}: distinct of 3", ours["distinct"], "", ">= 2.7"),
            Measure(f"{chosen}: exact@1, not below greedy's", ours["exact@1"], "",
                    f">= {greedy['exact@1']:.4f}"),
            Measure(f"{chosen} / greedy, wall time", ours["time p50"], "x", "<= 1.4"),
            Measure(f"{chosen}: first draft shown / greedy alone", ours["first p50"], "x", "<= 1"),
        ]  # fmt: skip
        if "beam" in table:
            gap = table["beam"]["mean logprob"] - ours["mean logprob"]
            rows.append(
                Measure(f"{chosen}: mean log-probability below beam's", gap, "nats", "<= 1")
            )
    elif "beam" in table:
        beam = table["beam"]
        for key in ("exact@k", "prefix@k"):
            gain = beam[key] - greedy[key]
            share = (ours[key] - greedy[key]) / gain if gain else 1.0
            rows.append(Measure(f"{chosen}: share of beam's gain in {key}", share, "", ">= 0.8"))
        rows += [
            Measure(f"{chosen} / beam, wall time", ours["time total"] / beam["time total"], "x",
                    "<= 0.5"),
            Measure(f"{chosen}: distinct of 8", ours["distinct"], "", ">= 6"),
        ]  # fmt: skip
    return rows


def show(table: dict[str, dict[str, float]], title: str) -> None:
    columns = list(next(iter(table.values())))
    grid = Table(title=title)
    for column in ("method", *columns):
        grid.add_column(column, justify="left" if column == "method" else "right")
    for method, values in table.items():
        grid.add_row(method, *(f"{values[c]:.3g}" if abs(values[c]) < 100 else f"{values[c]:.0f}"
                               for c in columns))  # fmt: skip
    Console(width=190).print(grid)


def load(drafter: Callable[[], Drafter] | None = None) -> tuple[EngineCompleter, Engine]:
    spec = load_registry().get(DEFAULT_SMALL)
    loaded = load_model(spec, ensure_model(spec), device="cpu")
    engine = Engine(loaded.model, Auto(loaded.passes))
    print(f"{loaded.name}, weights {loaded.weights}, passes {dict(loaded.passes.ms)}", flush=True)
    return EngineCompleter(engine, loaded.tokenizer, loaded.prompt_format), engine


def slot_bytes(model: Model) -> float:
    """Bytes of keys and values, in all layers, that a slot of the model's cache takes."""
    cache = model.new_cache()
    assert isinstance(cache, KVCache | NativeCache)
    model.forward(cache, Feed(None, torch.tensor([0]), torch.tensor([0]), None))
    return cache.nbytes / cache.capacity


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="six points, under a minute")
    parser.add_argument("--k", type=int, default=3, choices=range(1, 17), metavar="K")
    parser.add_argument("--split", choices=["dev", "test"], default="test")
    parser.add_argument("--points", type=int, default=320)
    parser.add_argument("--methods", default=",".join(DRAFTERS), help="greedy is always among them")
    parser.add_argument("--chosen", default=MAIN, help="the method that targets are about")
    parser.add_argument("--data", type=Path, help="problems with tests (benchmarks/problems.py)")
    parser.add_argument("--problems", type=int, default=100, help="how many of them")
    parser.add_argument("--resume", action="store_true", help="go on with the records kept")
    asked = parser.parse_args()
    solved = problems.read(problems.data_file(asked.data)) if asked.data else []
    methods = list(dict.fromkeys(["greedy", *asked.methods.split(",")]))
    chosen = devset.points(asked.split)[: 6 if asked.quick else asked.points]
    out = cache_root() / "benchmarks" / f"drafters-{asked.split}-k{asked.k}.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    if not asked.resume:
        out.unlink(missing_ok=True)
    completer, engine = load()
    records = run(completer, engine, chosen, methods, asked.k, out)
    table = {method: summary(records, method) for method in methods}
    for values in table.values():
        values["KV MB"] = values["slots"] * slot_bytes(engine.model) / 1e6
    if solved:
        sampled = problems.sample(solved, 2 if asked.quick else asked.problems)
        own = out.with_name(f"problems-k{asked.k}.jsonl")
        if not asked.resume:
            own.unlink(missing_ok=True)
        ran = run(
            completer, engine, [problem.point for problem in sampled], methods, asked.k, own,
            problems.BUDGET, problems.checker(sampled),
        )  # fmt: skip
        for method, values in table.items():
            values |= problems.pass_rates(ran, method)
        print(f"pass@1 and pass@k: {len(ran)} problems; {sandbox.isolation()}")
    show(table, f"{len(records)} points of {asked.split}, k = {asked.k}; times relative to greedy")
    rows = targets(table, asked.k, asked.chosen) if asked.chosen in table else []
    for method in methods:
        if method != "beam" and "beam" in methods:
            pairs = [
                (r["methods"][method]["exact"], r["methods"]["beam"]["exact"]) for r in records
            ]
            low, high = quality.paired_interval(*map(list, zip(*pairs, strict=True)))
            rows.append(Measure(f"{method} - beam, exact@k: 95 % from", low, ""))
            rows.append(Measure(f"{method} - beam, exact@k: 95 % to", high, ""))
    rows += [
        Measure(f"{method}: {key}", value, "") for method in methods
        for key, value in table[method].items()
    ]  # fmt: skip
    rows.append(Measure("peak resident memory of the process", peak_memory_mb(), "MB"))
    name = f"drafters-k{asked.k}" if asked.split == "test" else f"drafters-dev-k{asked.k}"
    report(name, rows, asked.quick)
    if not asked.quick and asked.split == "test":
        target = Path(__file__).parent.parent / "docs" / f"drafters-k{asked.k}.svg"
        quality_against_cost(table, asked.k, len(records), target)


if __name__ == "__main__":
    main()
