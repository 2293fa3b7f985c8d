"""The model pair: quality, cost and counted work of every switching policy. `make bench-pair`.

Every policy completes every point through the product's own completer, in turns; small alone and
large alone are among them. Warm: both caches hold the prompt, as while typing. Cold: neither knows
it, and asking the large model is dearer, so that a policy may ask it less; only the first points
are run cold. Beside the times stands what was counted, and from it a prediction for pairs that are
further apart (`benchmarks/predict.py`).
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import devset, predict, problems, quality, sandbox
from benchmarks.drafters import BUDGET, show
from benchmarks.harness import Row as Measure
from benchmarks.harness import report
from polydraft.completion.completer import EngineCompleter
from polydraft.completion.drafters import Drafter, Task
from polydraft.completion.drafters.auto import Auto, Plan
from polydraft.completion.engine import Drafting, Engine, Outcome
from polydraft.completion.guessers.ahead import Ahead
from polydraft.completion.meter import Meter
from polydraft.completion.ngram_index import NGramIndex
from polydraft.completion.pacing import Costs
from polydraft.completion.pair import PairEngine
from polydraft.completion.switching import Policy, Thresholds, policy_of
from polydraft.completion.types import Budget, Origin, Request
from polydraft.models.cache_dir import cache_root
from polydraft.models.load import LoadedModel, load_model
from polydraft.models.registry import DEFAULT_LARGE, DEFAULT_SMALL, load_registry
from polydraft.models.store import ensure_model

POLICIES = "small,large,bild,spec,cascade,ead"
MAIN = "bild"
COLD = 40  # points


@dataclass
class Counted:
    """An engine whose last outcome can be looked at; implements `Drafting`."""

    engine: Drafting
    last: Outcome | None = None

    @property
    def max_positions(self) -> int:
        return self.engine.max_positions

    def plan(self, method: str, k: int, waiting: int) -> Plan:
        return self.engine.plan(method, k, waiting)

    def ahead(self, name: str, prompt: Sequence[int], workspace: NGramIndex | None = None) -> Ahead:
        return self.engine.ahead(name, prompt, workspace)

    def prefill(self, prompt: Sequence[int], meter: Meter) -> int:
        return self.engine.prefill(prompt, meter)

    def draft(self, prompt: Sequence[int], task: Task, meter: Meter, drafter: Drafter) -> Outcome:
        self.last = self.engine.draft(prompt, task, meter, drafter)
        return self.last


@dataclass(frozen=True)
class Pair:
    small: LoadedModel
    large: LoadedModel

    @classmethod
    def load(cls, small: str, large: str) -> Pair:
        registry = load_registry()
        loaded = [
            load_model(spec, ensure_model(spec)) for spec in map(registry.get, (small, large))
        ]
        for model in loaded:
            print(f"{model.name}, {model.weights}, passes {dict(model.passes.ms)}", flush=True)
        return cls(*loaded)

    def engines(self) -> tuple[Engine, Engine]:
        """New ones, which know no prompt."""
        return tuple(Engine(m.model, Auto(m.passes)) for m in (self.small, self.large))  # type: ignore[return-value]

    def completer(
        self, policy: Policy, engines: tuple[Engine, Engine]
    ) -> tuple[EngineCompleter, Counted]:
        costs = Costs(self.small.passes, self.large.passes)
        counted = Counted(PairEngine(*engines, policy, costs))
        form = self.small.prompt_format
        return EngineCompleter(counted, self.small.tokenizer, form, policy.name), counted


def policy_from(text: str) -> Policy:
    """`bild`, or with thresholds `bild:rollback=4:gate=1`."""
    name, *settings = text.split(":")
    values = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        values[key] = int(value) if key in ("window", "stay") else float(value)
    return policy_of(name, replace(Thresholds(), **values))


def judge(
    completer: EngineCompleter,
    counted: Counted,
    point: devset.Point,
    k: int,
    budget: Budget,
    passes: Callable[[devset.Point, str], bool] | None,
    warm: bool,
) -> dict[str, Any]:
    request = Request(
        point.prefix, point.suffix, point.path, "python", k=k, multiline=point.kind == "block",
        budget=budget,
    )  # fmt: skip
    if warm:
        completer.prefill(request)
    done = completer.complete(request)
    outcome = counted.last
    assert outcome is not None and not outcome.notice, outcome
    texts = [quality.text_here(draft) for draft in done.drafts]
    whole = ["".join(draft.accepted(point.prefix, point.suffix)) for draft in done.drafts]
    large = outcome.large
    return {
        "first_exact": quality.exact(texts[:1], point.truth),
        "exact": quality.exact(texts, point.truth),
        "prefix": quality.best_prefix(texts, point.truth),
        "distinct": quality.distinct(texts),
        "passed": [passes(point, document) for document in whole] if passes else [],
        "seconds": done.stats.total_s,
        "first_seconds": done.stats.first_draft_s,
        "escalated": bool(outcome.escalated),
        "tokens": [draft.token_count for draft in done.drafts],
        "large_tokens": [
            sum(part.tokens for part in draft.parts if part.origin is Origin.LARGE)
            for draft in done.drafts
        ],
        "small_prompt": outcome.work.prompt_tokens,
        "small_passes": list(outcome.work.passes),
        "large_prompt": 0 if large is None else large.prompt_tokens,
        "large_passes": [] if large is None else list(large.passes),
        "texts": texts,
    }


def run(
    pair: Pair,
    policies: Mapping[str, Policy],
    points: Sequence[devset.Point],
    k: int,
    budget: Budget,
    passes: Callable[[devset.Point, str], bool] | None,
    cold: int,
    out: Path,
) -> list[dict[str, Any]]:
    """Every policy at every point; records are kept in `out`, and points found there are done."""
    records = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    done = {record["point"] for record in records}
    engines = pair.engines()
    warm = {name: pair.completer(policy, engines) for name, policy in policies.items()}
    for number, point in enumerate(points):
        if point.name in done:
            continue
        turn = number % len(policies)
        order = [*policies][turn:] + [*policies][:turn]
        record: dict[str, Any] = {"point": point.name, "kind": point.kind, "cold": {}}
        record["warm"] = {
            name: judge(*warm[name], point, k, budget, passes, True) for name in order
        }
        for name in order if number < cold else ():
            fresh = pair.completer(policies[name], pair.engines())
            record["cold"][name] = judge(*fresh, point, k, budget, passes, False)
        records.append(record)
        with out.open("a") as file:
            file.write(json.dumps(record) + "\n")
    names = {point.name for point in points}
    return [record for record in records if record["point"] in names]


def mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else 0.0


def timed(records: Sequence[dict[str, Any]], state: str, name: str) -> dict[str, float]:
    """Wall time of a policy, warm or cold, relative to the two models alone."""
    own = [record[state] for record in records if record[state]]
    if not own:
        return {}

    def total(policy: str, key: str = "seconds") -> float:
        return sum(record[policy][key] for record in own)

    return {
        f"{state} / large": total(name) / total("large"),
        f"{state} / small": total(name) / total("small"),
        f"{state} first / small": total(name, "first_seconds") / total("small", "first_seconds"),
        f"{state} ms": 1000 * total(name) / len(own),
    }


def summary(
    lines: Sequence[dict[str, Any]], solved: Sequence[dict[str, Any]], name: str
) -> dict[str, float]:
    """Quality at the points, pass rates at the problems, and cost over both."""
    both = [*lines, *solved]
    own = [record["warm"][name] for record in both]
    tokens = sum(sum(each["tokens"][:1]) for each in own)
    large = sum(sum(each["large_tokens"][:1]) for each in own)
    if name == "large":
        large = tokens
    every = sum(sum(each["tokens"]) for each in own)
    table = {
        "exact@1": mean([record["warm"][name]["first_exact"] for record in lines]),
        "exact@k": mean([record["warm"][name]["exact"] for record in lines]),
        "prefix@k": mean([record["warm"][name]["prefix"] for record in lines]),
        "pass@1": mean([any(record["warm"][name]["passed"][:1]) for record in solved]),
        "pass@k": mean([any(record["warm"][name]["passed"]) for record in solved]),
        "distinct": mean([each["distinct"] for each in own]),
        "asked": mean([each["escalated"] for each in own]),
        "large tokens": large / max(1, tokens),
        "of all drafts": sum(sum(each["large_tokens"]) for each in own) / max(1, every),
    }
    for state in ("warm", "cold"):
        table |= timed(both, state, name)
    cold = [record for record in both if record["cold"]]
    if cold:
        table["cold asked"] = mean([record["cold"][name]["escalated"] for record in cold])
        table["cold right@1"] = mean([right(record["cold"][name]) for record in cold])
        table["the same, warm"] = mean([right(record["warm"][name]) for record in cold])
    return table


def right(found: Mapping[str, Any]) -> bool:
    """Whether the first draft passes its tests, or where there are none, is the truth."""
    return any(found["passed"][:1]) if found["passed"] else bool(found["first_exact"])


def closed(table: Mapping[str, Mapping[str, float]], name: str, key: str) -> float:
    """The share of the gap between small and large that a policy closes."""
    gap = table["large"][key] - table["small"][key]
    return (table[name][key] - table["small"][key]) / gap if gap else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="four points and problems")
    parser.add_argument("--k", type=int, default=3, choices=range(1, 17), metavar="K")
    parser.add_argument("--split", choices=["dev", "test"], default="dev")
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--data", type=Path, help=f"the problems; else {problems.VARIABLE}")
    parser.add_argument("--problems", type=int, default=100, help="how many, of a fixed shuffle")
    parser.add_argument("--cold", type=int, default=COLD, help="points that are timed cold as well")
    parser.add_argument("--policies", default=POLICIES, help="e.g. bild:rollback=4,spec")
    parser.add_argument("--main", default=MAIN, help="the policy that targets are about")
    parser.add_argument("--small", default=DEFAULT_SMALL)
    parser.add_argument("--large", default=DEFAULT_LARGE)
    parser.add_argument("--resume", action="store_true", help="go on with the records kept")
    parser.add_argument("--name", default="", help="of the result, behind a dash")
    asked = parser.parse_args()
    names = list(dict.fromkeys(["small", "large", *asked.policies.split(",")]))
    policies = {name: policy_from(name) for name in names}
    points = devset.points(asked.split)[: 2 if asked.quick else asked.points]
    chosen = problems.sample(
        problems.read(problems.data_file(asked.data)), 2 if asked.quick else asked.problems
    )
    title = f"pair-{asked.split}-k{asked.k}{'-' if asked.name else ''}{asked.name}"
    kept = cache_root() / "benchmarks"
    kept.mkdir(parents=True, exist_ok=True)
    places = [kept / f"{title}-{kind}.jsonl" for kind in ("points", "problems")]
    for place in places if not asked.resume else ():
        place.unlink(missing_ok=True)
    pair = Pair.load(asked.small, asked.large)
    print(sandbox.isolation())
    lines = run(pair, policies, points, asked.k, BUDGET, None, asked.cold, places[0])
    solved = run(
        pair, policies, [problem.point for problem in chosen], asked.k, problems.BUDGET,
        problems.checker(chosen), asked.cold, places[1],
    )  # fmt: skip
    table = {name: summary(lines, solved, name) for name in names}
    show(table, f"{len(lines)} points, {len(solved)} problems, k = {asked.k}")
    rows = []
    if asked.main in table:
        own = table[asked.main]
        rows = [
            Measure(f"{asked.main}: share of the gap closed, pass@1",
                    closed(table, asked.main, "pass@1"), "", ">= 0.95"),
            Measure(f"{asked.main}: share of the gap closed, exact@1",
                    closed(table, asked.main, "exact@1"), "", ">= 0.95"),
            Measure(f"{asked.main}: first draft's tokens from the large model",
                    own["large tokens"], "", "<= 0.35"),
            Measure(f"{asked.main} / large, warm", own["warm / large"], "x", "<= 0.9"),
            Measure(f"{asked.main}: first draft / small alone", own["warm first / small"], "x",
                    "<= 1.1"),
        ]  # fmt: skip
        if "cold / large" in own:
            rows.append(Measure(f"{asked.main} / large, cold", own["cold / large"], "x", "<= 0.85"))
    for name in names:
        found = [record["warm"][name] for record in (*lines, *solved)]
        large_alone = [record["warm"]["large"] for record in (*lines, *solved)]
        for label, value in predict.relative(found, large_alone).items():
            target = "<= 0.5" if name == asked.main else ""
            rows.append(Measure(f"{name} / large, predicted for {label}", value, "x", target))
        rows += [Measure(f"{name}: {key}", value, "") for key, value in table[name].items()]
        rows += [
            Measure(f"{name}: {what} a request", value, "")
            for what, value in predict.counts(found).items()
        ]
    report(title, rows, asked.quick)


if __name__ == "__main__":
    main()
