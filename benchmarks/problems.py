"""Problems whose answers can be run: functions with lines missing, and tests that tell.

The data is OpenAI's HumanEval infilling benchmark, multi-line part (Bavarian et al., arXiv
2207.14255; MIT licence), a `.jsonl.gz` file that is not part of this project. In the place of the
missing lines stands an empty one with the cursor at its beginning, as in an editor.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks import sandbox
from benchmarks.devset import Point
from polydraft.completion.types import Budget

BUDGET = Budget(prompt_tokens=320, new_tokens=64)
VARIABLE = "POLYDRAFT_INFILLING_DATA"
PROJECT = "https://github.com/openai/human-eval-infilling"
_FIELDS = ("task_id", "entry_point", "prompt", "suffix", "canonical_solution", "test")


@dataclass(frozen=True, slots=True)
class Problem:
    """`test` defines `check(candidate)`, which raises unless `candidate` is right."""

    task_id: str  # MultiLineInfilling/HumanEval/0/L0_L1: function 0, its lines 0 to 1
    entry_point: str
    prompt: str  # up to the first missing line
    suffix: str  # from the first line that is there again
    canonical_solution: str
    test: str

    def __post_init__(self) -> None:
        if not self.prompt.endswith("\n") or not self.canonical_solution.endswith("\n"):
            raise ValueError(f"{self.task_id}: what is missing is not a number of whole lines")

    @property
    def function(self) -> str:
        """Problems of one function are not independent of each other."""
        return self.task_id.rpartition("/")[0]

    @property
    def point(self) -> Point:
        """The place to complete. The file's name says nothing of the benchmark."""
        truth = self.canonical_solution.removesuffix("\n")
        suffix = "\n" + self.suffix
        return Point(self.task_id, "solution.py", "block", self.prompt, suffix, truth)

    def program(self, document: str) -> str:
        """`document`, the whole completed file, with the tests behind it."""
        return f"{document}\n{self.test}\ncheck({self.entry_point})\n"


def data_file(asked: Path | None) -> Path:
    """The file asked for, else that of the environment. SystemExit, with what to do, if neither."""
    named = os.environ.get(VARIABLE)
    path = asked or (Path(named).expanduser() if named else None)
    if path is None or not path.is_file():
        what = "No infilling problems were named." if path is None else f"{path} is not a file."
        raise SystemExit(
            f"{what} Give HumanEval-MultiLineInfilling.jsonl.gz, which comes with {PROJECT}, by"
            f" --data FILE or in {VARIABLE}."
        )
    return path


def read(path: Path) -> list[Problem]:
    """All problems of a file, in its order. SystemExit if it is something else."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            entries = [json.loads(line) for line in lines]
        return [Problem(**{field: entry[field] for field in _FIELDS}) for entry in entries]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(f"{path} holds no multi-line infilling problems: {error}.") from None


def sample(problems: Sequence[Problem], count: int) -> list[Problem]:
    """The first `count` of a fixed shuffle: a larger sample holds every smaller one."""
    shuffled = sorted(problems, key=lambda problem: problem.task_id)
    random.Random(0).shuffle(shuffled)
    return shuffled[:count]


def checker(problems: Sequence[Problem]) -> Callable[[Point, str], bool]:
    """Whether a completed document of a problem's point passes; equal documents run once."""
    by_name = {problem.point.name: problem for problem in problems}
    known: dict[tuple[str, str], bool] = {}

    def passes(point: Point, document: str) -> bool:
        key = (point.name, document)
        if key not in known:
            known[key] = sandbox.run(by_name[point.name].program(document)).passed
        return known[key]

    return passes


def passed(records: Sequence[dict[str, Any]], method: str, k: int | None = None) -> list[float]:
    """1 where one of the first k drafts (None: all) passes; records as of `benchmarks.drafters`."""
    return [float(any(record["methods"][method]["passed"][:k])) for record in records]


def pass_rates(records: Sequence[dict[str, Any]], method: str) -> dict[str, float]:
    """The columns of a method in a table."""
    return {
        "pass@1": statistics.fmean(passed(records, method, 1)),
        "pass@k": statistics.fmean(passed(records, method)),
    }


def interval(
    values: Sequence[float], groups: Sequence[str], rounds: int = 2000
) -> tuple[float, float]:
    """95 % bootstrap interval of the mean, with whole groups drawn: values in one are related.

    Equal values give an interval of no width, which says only that the sample is too small.
    """
    members: dict[str, list[float]] = {}
    for value, group in zip(values, groups, strict=True):
        members.setdefault(group, []).append(value)
    clusters = list(members.values())
    chooser = random.Random(0)
    means = sorted(
        statistics.fmean(chain.from_iterable(chooser.choices(clusters, k=len(clusters))))
        for _ in range(rounds)
    )
    return means[int(0.025 * rounds)], means[int(0.975 * rounds)]
