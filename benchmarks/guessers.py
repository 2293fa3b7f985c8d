"""One greedy draft with each guesser: tokens a pass, acceptance, wall time. `make bench-guessers`.

Points of the dev split through the product's own completer, the prompt in the cache; all guessers
at one point after each other, in rotating order, and all must give the same draft. Wall time is the
drafter's alone, relative to no guesser. The workspace are the other files of the point's project.

`--layers` instead measures what `layer-skip` rests on: how often the model without some MLPs agrees
with the whole one, and what such a step costs (`guesser_layers.py`).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from benchmarks import devset, guesser_layers
from benchmarks.drafters import BUDGET
from benchmarks.harness import Row as Measure
from benchmarks.harness import report
from polydraft.completion.completer import EngineCompleter
from polydraft.completion.drafters import Task
from polydraft.completion.drafters.auto import Auto
from polydraft.completion.drafters.greedy import MOST_GUESSES, Greedy
from polydraft.completion.engine import Engine
from polydraft.completion.guessers import Guessers
from polydraft.completion.guessers.recycling import SUCCESSORS, Successors
from polydraft.completion.ngram_index import NGramIndex
from polydraft.completion.rows import Row
from polydraft.completion.tree import DraftTree
from polydraft.completion.types import Request
from polydraft.models.load import LoadedModel, load_model
from polydraft.models.registry import DEFAULT_SMALL, load_registry
from polydraft.models.store import ensure_model

NONE = "none"
BEFORE = 3  # guesses in a pass, whatever they cost: as it was before lengths followed from costs
POINTS, QUICK_POINTS = 100, 8


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to guess. Each has state of its own: what one learns is not another's."""

    guesser: str
    guessers: Guessers
    most: int = MOST_GUESSES
    workspace: bool = True


@dataclass
class Timed:
    """A greedy drafter with a stopwatch; implements `Drafter`."""

    most: int
    name: str = "greedy"
    seconds: float = 0.0
    passes: int = 0
    fed: int = 0  # tokens, the pending ones included
    row: Row = field(default_factory=lambda: Row("none"))

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        passes, slots, start = tree.passes, tree.next_slot, time.perf_counter()
        rows = Greedy(guesses=self.most).draft(tree, logits, task)
        self.seconds = time.perf_counter() - start
        self.passes, self.fed = tree.passes - passes, tree.next_slot - slots
        self.row = rows[0] if rows else Row("none")
        return rows


@dataclass
class Sums:
    """Of one arm, over the points."""

    seconds: list[float] = field(default_factory=list)
    tokens: int = 0  # behind the first, which the prompt's pass gives
    passes: int = 0
    fed: int = 0

    def add(self, timed: Timed) -> None:
        self.seconds.append(timed.seconds)
        self.tokens += len(timed.row.seen) - 1
        self.passes += timed.passes
        self.fed += timed.fed

    def measures(self, label: str, base: Sums) -> list[Measure]:
        guessed = self.fed - self.passes
        ratios = [a / b for a, b in zip(self.seconds, base.seconds, strict=True)]
        rows = [
            Measure(f"{label}: tokens a pass", self.tokens / self.passes, ""),
            Measure(f"{label}: guessed in a pass", guessed / self.passes, "tokens"),
        ]
        if guessed:
            right = (self.tokens - self.passes) / guessed
            rows.append(Measure(f"{label}: of them right", right, ""))
        total = sum(self.seconds) / sum(base.seconds)
        return [
            *rows,
            Measure(f"{label}: wall time, total", total, "x none"),
            Measure(f"{label}: wall time, median", statistics.median(ratios), "x none"),
        ]


def arms(loaded: LoadedModel, skip: frozenset[int]) -> dict[str, Arm]:
    model, costs = loaded.model, loaded.passes

    def own() -> Guessers:
        return Guessers(model, costs)

    unlimited = Guessers(model)  # knows no costs: as many as are allowed
    found = {
        NONE: Arm("none", own()),
        f"lookup, always {BEFORE}": Arm("lookup", unlimited, BEFORE, workspace=False),
        f"lookup, always {MOST_GUESSES}": Arm("lookup", unlimited, workspace=False),
        "lookup in the prompt": Arm("lookup", own(), workspace=False),
        "lookup": Arm("lookup", own()),
        "recycling": Arm("recycling", own()),
        "layer-skip": Arm("layer-skip", own()),
    }
    if skip:
        chosen = own()
        chosen.layer_skip = chosen.skipping(skip)
        found["layer-skip, MLPs chosen"] = Arm("layer-skip", chosen)
    return found


def workspaces(
    loaded: LoadedModel, points: Sequence[devset.Point]
) -> dict[devset.Point, NGramIndex]:
    """For each point an index of its project's files but the one it is in."""
    ids = {
        (source.package, path): loaded.tokenizer.encode(text)
        for source in devset.sources()
        if source.split == "dev"
        for path, text in devset.files(devset.fetch(source), source.folder).items()
    }
    found: dict[devset.Point, NGramIndex] = {}
    of_project: dict[str, NGramIndex] = {}
    for project in {point.project for point in points}:
        index = of_project[project] = NGramIndex()
        for (package, path), tokens in ids.items():
            if package == project:
                index.put(path, tokens)
    for point in points:
        found[point] = of_project[point.project]
    return found


class Without:
    """The index without one file while a point of that file is completed."""

    def __init__(self, index: NGramIndex, name: str) -> None:
        self._index, self._name = index, name

    def __enter__(self) -> NGramIndex:
        self._ids = self._index[self._name]
        self._index.drop(self._name)
        return self._index

    def __exit__(self, *_: object) -> None:
        self._index.put(self._name, self._ids)


def parting(row: Row, plain: Row) -> float | None:
    """Where two greedy rows part, how much the first one's token was better (nats); None: nowhere.

    It must be next to nothing: attention rounds differently in passes of another shape.
    """
    for depth, (token, other) in enumerate(zip(row.ids, plain.ids, strict=False)):
        if token != other:
            said = row.seen[depth]
            if other not in said.tokens:
                return float("inf")
            return said.logprobs[0] - said.logprobs[said.tokens.index(other)]
    return None if len(row.ids) == len(plain.ids) else 0.0


def run(
    loaded: LoadedModel, chosen: Sequence[devset.Point], all_arms: Mapping[str, Arm]
) -> tuple[dict[str, Sums], tuple[float, float]]:
    """-> what each arm took, and how often the best token was a token's first kept successor, or
    among them: the most that recycling could guess with a chain or with a tree."""
    engine = Engine(loaded.model, Auto(loaded.passes))
    completer = EngineCompleter(engine, loaded.tokenizer, loaded.prompt_format)
    sums = {label: Sums() for label in all_arms}
    successors = Successors(loaded.model.vocab_size)
    first = among = asked = 0
    parted: list[float] = []
    indices = workspaces(loaded, chosen)

    def draft(point: devset.Point, arm: Arm, index: NGramIndex) -> Timed:
        engine.drafter, engine.guessers = Timed(arm.most), arm.guessers
        request = Request(
            point.prefix, point.suffix, point.path, "python", k=1, budget=BUDGET,
            multiline=point.kind == "block", guesser=arm.guesser,
        )  # fmt: skip
        completer.complete(request, workspace=index if arm.workspace else None)
        return engine.drafter

    for number, point in enumerate(chosen):
        with Without(indices[point], point.path) as index:
            plain = draft(point, all_arms[NONE], index).row  # the prompt comes into the cache
            turn = number % len(all_arms)
            for label in [*all_arms][turn:] + [*all_arms][:turn]:
                timed = draft(point, all_arms[label], index)
                if (gap := parting(timed.row, plain)) is not None:
                    parted.append(gap)
                if plain.ids:
                    sums[label].add(timed)
        for token, choice in zip(plain.ids, plain.seen[1:], strict=False):
            known = successors.of(token)
            asked += 1
            first += known[:1] == [choice.tokens[0]]
            among += choice.tokens[0] in known
            successors.put(token, choice)
    print(f"drafts that parted from the one without guesses, in nats: {parted}", flush=True)
    return sums, (first / asked, among / asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_POINTS} points")
    parser.add_argument("--model", default=DEFAULT_SMALL)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--skip", default="", help="an arm that leaves out these MLPs: 3,7,9")
    parser.add_argument("--layers", action="store_true", help="instead: what can be left out")
    asked = parser.parse_args()
    spec = load_registry().get(asked.model)
    loaded = load_model(spec, ensure_model(spec), device="cpu")
    print(f"{loaded.name}, weights {loaded.weights}, passes {dict(loaded.passes.ms)}", flush=True)
    chosen = devset.points("dev")[: QUICK_POINTS if asked.quick else asked.points]
    suffix = "" if asked.model == DEFAULT_SMALL else f"-{asked.model.rpartition('-')[2]}"
    if asked.layers:
        report(f"guessers-layers{suffix}", guesser_layers.measure(loaded, asked.quick), asked.quick)
        return
    skip = frozenset(int(each) for each in asked.skip.split(",") if each)
    sums, (first, among) = run(loaded, chosen, arms(loaded, skip))
    rows = [Measure("drafts", len(sums[NONE].seconds), ""),
            Measure("none: wall time of a token", 1000 * sum(sums[NONE].seconds)
                    / sums[NONE].tokens, "ms")]  # fmt: skip
    for label, each in sums.items():
        rows += each.measures(label, sums[NONE])
    rows += [
        Measure("recycling: the best token is the first successor kept", first, ""),
        Measure(f"recycling: it is among the {SUCCESSORS} kept", among, ""),
    ]
    rows += [Measure(f"a pass over {n} tokens", loaded.passes.of(n), "ms") for n in (1, 2, 4, 8)]
    report(f"guessers{suffix}", rows, asked.quick)


if __name__ == "__main__":
    main()
