"""Drafts behind a dereference with and without monitors: `make bench-monitors`.

Every variant completes every point through the product's own completer, behind the same cached
prompt and in turns; what is timed is the whole completion, the monitor's waits with it. Every
variant, number of drafts and project has a monitoring of its own, with caches of its own.

To plug in a monitoring, add it to `monitorings`; `benchmarks.judges` says who judges the names.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import monitors_report, naming
from benchmarks.dereferences import LANGUAGES, Point, points
from benchmarks.judges import Judge, Remembering, judges, new_problems
from benchmarks.monitored import maker
from benchmarks.timed_monitors import Timed
from benchmarks.truth_walk import walk
from benchmarks.workspaces import settings, sources
from polydraft.completion.completer import EngineCompleter
from polydraft.completion.drafters.auto import Auto
from polydraft.completion.engine import Engine
from polydraft.completion.monitor import Monitoring
from polydraft.completion.types import Budget, Request
from polydraft.models.cache_dir import cache_root
from polydraft.models.load import LoadedModel, load_model
from polydraft.models.registry import DEFAULT_LARGE, DEFAULT_SMALL, load_registry
from polydraft.models.store import ensure_model
from polydraft.monitors.analysers.catalogue import SPECS
from polydraft.monitors.analysis import AnalyserSettings
from polydraft.monitors.strictness import STRICTNESS
from polydraft.monitors.vocabularies import Vocabularies

NONE = "none"
DEFAULT = "none,graded,plain"
# Behind a variant's name:
UNFORESEEN = "-unforeseen"  # no analysis begins before it is needed
TYPED = "-typed"  # the last key before the request told the analyser, as in the server
BUDGET = Budget(prompt_tokens=512, new_tokens=48)

_VOCABULARIES = Vocabularies()  # building one takes a third of a second

# Of one workspace. A monitoring that has a `close` is closed when its project is through.
MonitoringMaker = Callable[[AnalyserSettings], Monitoring]


def monitorings(language: str) -> dict[str, MonitoringMaker | None]:
    """Variant -> how its monitoring is made; None: without. Its first one is what others are
    compared with. `graded-NAME` is over another analyser than the language's default."""
    analysers = [spec.name for spec in SPECS if language in spec.languages]
    strict = {name: maker(name, _VOCABULARIES, analysers[0]) for name in STRICTNESS}
    others = {f"graded-{each}": maker("graded", _VOCABULARIES, each) for each in analysers[1:]}
    return {NONE: None, **strict, **others}


def make(name: str, workspace: AnalyserSettings, language: str) -> Timed | None:
    maker = monitorings(language)[name.removesuffix(UNFORESEEN).removesuffix(TYPED)]
    return None if maker is None else Timed(maker(workspace), not name.endswith(UNFORESEEN))


def close(monitoring: Timed | None) -> None:
    ended = getattr(monitoring.monitoring, "close", None) if monitoring else None
    if ended is not None:
        ended()


def request_at(point: Point, k: int, typed: bool = False) -> Request:
    """`typed`: the line has just been typed; else the cursor was put there."""
    line = point.prefix.rpartition("\n")[2]
    return Request(
        point.prefix, point.suffix, point.path, point.language, k=k, multiline=False,
        budget=BUDGET, anchor=len(point.prefix) - len(line.lstrip()) if typed else None,
    )  # fmt: skip


def complete(
    completer: EngineCompleter, point: Point, monitoring: Timed | None, request: Request
) -> dict[str, Any]:
    """One variant at one point."""
    start = time.perf_counter()
    drafts = completer.complete(request, monitoring=monitoring).drafts
    seconds = time.perf_counter() - start
    texts = [draft.text for draft in drafts]
    first = naming.scores(texts[:1], point.truth, point.language)
    every = naming.scores(texts, point.truth, point.language)
    allowed = naming.errors(point.filled(point.truth), point.language)
    found = (naming.errors(point.filled(text), point.language) for text in texts)
    return {
        "texts": texts,
        "seconds": seconds,
        "first": first,
        "every": every,
        "parse": [errors <= allowed for errors in found],
        "interventions": [[asdict(each) for each in draft.interventions] for draft in drafts],
        "constrained_ms": monitoring.constrained_ms if monitoring else [],
        "monitor_s": monitoring.total_s if monitoring else 0.0,
        "late": monitoring.late if monitoring else 0,
    }


def walk_truth(
    point: Point, monitoring: Timed, loaded: LoadedModel, request: Request
) -> dict[str, Any]:
    """The truth under the monitor, its line's end with it."""
    tokenizer, held_back = loaded.tokenizer, monitoring.held_back
    monitor = monitoring.monitoring.monitor(request, tokenizer, held_back, lambda: None)
    if monitor is None:
        return {"losses": [], "constrained": 0, "late": 0}
    ids = tokenizer.encode(held_back + point.truth + "\n")
    walked = walk(monitor, ids, len(tokenizer))
    losses = [loss.record() | {"text": tokenizer.decode([loss.token])} for loss in walked.losses]
    return {"losses": losses, "constrained": walked.constrained, "late": walked.late}


def judge_texts(
    judge: Judge, point: Point, workspace: AnalyserSettings, texts: Sequence[str]
) -> dict[str, Any]:
    """The first draft's name and its new problems, as the judge sees them."""
    known = judge.names(point)
    name = naming.next_name(texts[0]) if texts else ""
    problems = new_problems(judge, point, workspace, texts[0]) if texts else []
    return {
        "names": len(known),
        "truth_known": naming.next_name(point.truth) in known,
        "unknown": bool(known) and bool(name) and name not in known,
        "problems": problems,
    }


def at_point(
    completer: EngineCompleter,
    loaded: LoadedModel,
    point: Point,
    made: Mapping[tuple[str, int], Timed | None],
    turn: int,
    typed: bool = False,
) -> dict[str, dict[str, Any]]:
    """-> "VARIANT k=K" -> what came of it, for every (variant, k), in an order that rotates."""
    order = list(made)
    order = order[turn % len(order) :] + order[: turn % len(order)]
    requests = {k: request_at(point, k, typed) for _, k in made}
    completer.prefill(requests[max(requests)])
    for (_, k), monitoring in made.items():
        warm = getattr(monitoring.monitoring, "warm", None) if monitoring is not None else None
        if warm is not None:
            warm(requests[k])
    found = {}
    for name, k in order:
        monitoring = made[name, k]
        if monitoring is not None and name.endswith(TYPED):
            monitoring.monitoring.typed(requests[k])
        found[name, k] = complete(completer, point, monitoring, requests[k])
    walked: dict[str, dict[str, Any]] = {}
    for (name, k), monitoring in made.items():
        if monitoring is not None:
            walked[name] = walked.get(name) or walk_truth(point, monitoring, loaded, requests[k])
            found[name, k]["truth"] = walked[name]
    return {f"{name} k={k}": one for (name, k), one in found.items()}


def run(
    loaded: LoadedModel,
    chosen: Sequence[Point],
    spare: Sequence[Point],
    variants: Sequence[str],
    ks: Sequence[int],
    out: Path,
    typed: bool = False,
) -> list[dict[str, Any]]:
    """Every variant at every point; records are kept in `out`, and points found there are done.

    Project by project: a point of `spare` wakes up its analysers first.
    """
    completer = EngineCompleter(
        Engine(loaded.model, Auto(loaded.passes)), loaded.tokenizer, loaded.prompt_format
    )
    records = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    done = {record["point"] for record in records}
    for project in dict.fromkeys(point.project for point in chosen):
        mine = [each for each in chosen if each.project == project and each.name not in done]
        if not mine:
            continue
        source = next(each for each in sources() if each.name == project)
        workspace = settings(source)
        made = {(name, k): make(name, workspace, source.language) for k in ks for name in variants}
        maker = judges().get(source.language)
        judge = Remembering(maker(workspace)) if maker else None
        try:
            for point in [each for each in spare if each.project == project][:1]:
                at_point(completer, loaded, point, made, 0, typed)
            for turn, point in enumerate(mine):
                found = at_point(completer, loaded, point, made, turn, typed)
                if judge is not None:
                    for one in found.values():
                        one["judged"] = judge_texts(judge, point, workspace, one["texts"])
                records.append(
                    {
                        "point": point.name, "project": project, "fresh": source.fresh,
                        "kind": point.kind, "store": point.store, "truth": point.truth,
                        "line": point.prefix.rpartition("\n")[2], "variants": found,
                    }
                )  # fmt: skip
                with out.open("a") as file:
                    file.write(json.dumps(records[-1]) + "\n")
        finally:
            for monitoring in made.values():
                close(monitoring)
            if judge is not None:
                judge.close()
        print(f"{loaded.name}, {project}: {len(mine)} points", flush=True)
    names = {point.name for point in chosen}
    return [record for record in records if record["point"] in names]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="twelve points, under a minute")
    parser.add_argument("--language", choices=LANGUAGES, default="python")
    parser.add_argument("--points", type=int, default=1000, help="at most so many")
    parser.add_argument("--split", choices=["dev", "test", "all"], default="test")
    parser.add_argument("--variants", help=f"names by commas; also NAME{UNFORESEEN}, NAME{TYPED}")
    parser.add_argument("--models", help="names by commas; monitors only in the default small one")
    parser.add_argument("--k", default="1,3", help="numbers of drafts, by commas")
    parser.add_argument("--typed", action="store_true", help="as if the line was just typed")
    parser.add_argument("--show", action="store_true", help="list the points where truth lost")
    parser.add_argument("--resume", action="store_true", help="go on with the records kept")
    return parser.parse_args()


def main() -> None:
    asked = parsed()
    asked_for = (asked.variants or DEFAULT).split(",")
    variants = list(dict.fromkeys([NONE, *asked_for]))
    models = (asked.models or f"{DEFAULT_SMALL},{DEFAULT_LARGE}").split(",")
    ks = [int(k) for k in asked.k.split(",")]
    count = asked.points
    every = points(asked.language, asked.split)
    if asked.quick:
        count, models, ks = 12, models[:1], ks[-1:]
        few = list(dict.fromkeys(point.project for point in every))[:2]  # analysers take a while
        every = [point for point in every if point.project in few]
    chosen, spare = every[:count], every[count:] or every[:count]
    title = f"monitors-{asked.language}-{asked.split}{'-typed' if asked.typed else ''}"
    kept: dict[str, list[dict[str, Any]]] = {}
    for name in models:
        tried = variants if name == DEFAULT_SMALL else [NONE]
        quick = "-quick" if asked.quick else ""
        file = f"{title}-{name}{quick}.jsonl"
        out = cache_root() / "benchmarks" / file
        out.parent.mkdir(parents=True, exist_ok=True)
        if not asked.resume:
            out.unlink(missing_ok=True)
        spec = load_registry().get(name)
        loaded = load_model(spec, ensure_model(spec), device="cpu")
        print(f"{loaded.name}, weights {loaded.weights}", flush=True)
        kept[name] = run(loaded, chosen, spare, tried, ks, out, asked.typed)
        del loaded
        gc.collect()
    monitors_report.tell(kept, ks, title, asked.quick)
    if asked.show:
        monitors_report.show_losses(kept)


if __name__ == "__main__":
    main()
