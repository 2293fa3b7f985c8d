"""Each monitor alone over lines of real code: what of it would they hinder? `make bench-rules`.

Lines of the pinned projects of `dereferences.toml` are walked token by token under one rule at a
time, and under all of them, as if a model had written them: everything above and below is kept. A
token that loses log-probability, or is impossible, is harm: the line is right as it stands.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.dereferences import files
from benchmarks.harness import Row, report
from benchmarks.timed_monitors import Timed
from benchmarks.truth_walk import Loss, walk
from benchmarks.workspaces import Source, settings, sources
from polydraft.completion.types import Request
from polydraft.models.registry import DEFAULT_SMALL, load_registry
from polydraft.models.store import ensure_model
from polydraft.models.tokenizer import ModelTokenizer
from polydraft.monitors.analysers.catalogue import create, default_for
from polydraft.monitors.broker import Broker
from polydraft.monitors.monitoring import RULES, DocumentMonitoring
from polydraft.monitors.vocabularies import Vocabularies

ALL = "all"


@dataclass(frozen=True, slots=True)
class Line:
    path: str
    prefix: str
    text: str
    suffix: str


def lines(source: Source, count: int) -> list[Line]:
    """A sample of a project's lines of code, import lines among them in natural share."""
    chooser = random.Random(source.name)
    found = [line for path, text in files(source).items() for line in _lines(path, text)]
    return chooser.sample(found, min(count, len(found)))


def _lines(path: str, text: str) -> Iterator[Line]:
    at = 0
    for whole in text.splitlines(keepends=True):
        body = whole.rstrip("\n")
        indent = len(body) - len(body.lstrip())
        if len(body.strip()) > 3 and not body.lstrip().startswith(("#", '"', "'")):
            prefix = text[: at + indent]
            yield Line(path, prefix, body[indent:], text[at + len(body) :])
        at += len(whole)


def walked(
    line: Line, monitoring: DocumentMonitoring, tokenizer: ModelTokenizer, times: list[float]
) -> Sequence[Loss]:
    """What the line's true tokens lose; adds the milliseconds of each to `times`."""
    timed = Timed(monitoring)
    request = Request(line.prefix, line.suffix, line.path, "python")
    monitor = timed.monitor(request, tokenizer, "", lambda: None)
    if monitor is None:
        return ()
    losses = walk(monitor, tokenizer.encode(line.text + "\n"), len(tokenizer)).losses
    times += timed.every_ms
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=60, help="of each project")
    parser.add_argument("--split", choices=["dev", "test"], default="test")
    parser.add_argument("--analyser", help="by default the one that Python has by default")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--show", action="store_true", help="list what was hindered")
    asked = parser.parse_args()
    tokenizer = ModelTokenizer.from_directory(ensure_model(load_registry().get(DEFAULT_SMALL)))
    vocabularies = Vocabularies()
    names = [*RULES, ALL]
    hindered = dict.fromkeys(names, 0)
    impossible = dict.fromkeys(names, 0)
    times: dict[str, list[float]] = {name: [] for name in names}
    total = 0
    chosen = [s for s in sources() if s.language == "python" and s.split == asked.split]
    for source in chosen[: 1 if asked.quick else None]:
        workspace = settings(source)
        name = asked.analyser or default_for("python", workspace) or ""
        broker = Broker(create(name, workspace), print)
        for line in lines(source, 10 if asked.quick else asked.lines):
            total += 1
            for name in names:
                monitoring = DocumentMonitoring(
                    str(Path(workspace.root) / line.path),
                    vocabularies,
                    broker,
                    rules=tuple(RULES) if name == ALL else (name,),
                )
                losses = walked(line, monitoring, tokenizer, times[name])
                hindered[name] += bool(losses)
                impossible[name] += any(loss.hard for loss in losses)
                if asked.show and losses and name != ALL:
                    shown = ", ".join(tokenizer.decode([loss.token]) for loss in losses)
                    print(f"{name}: {source.name}/{line.path}: {line.text!r} at {shown}")
        broker.close()
        print(f"{source.name}: done", flush=True)
    results = []
    for name in names:
        results += [
            Row(f"{name}: lines hindered", hindered[name] / total, "", "<= 0.01"),
            Row(f"{name}: lines made impossible", impossible[name] / total, "", "<= 0.01"),
            Row(f"{name}: ms a token p50", statistics.median(times[name]), "ms"),
            Row(f"{name}: ms a token p95", statistics.quantiles(times[name], n=20)[-1], "ms"),
        ]
    report(f"rules-{asked.split}", results, asked.quick)


if __name__ == "__main__":
    main()
