"""Our steps and drafts against llama.cpp's, on the same file and machine: `make bench-llama`.

llama.cpp comes by the llama-cpp-python package, which polydraft does not depend on: install it into
an environment of its own and name that one's interpreter by `--llama-python PATH`. It runs as a
subprocess that waits while we compute, and we wait while it does; they take turns, A B A B. Both
read the weights of the same GGUF file (ours were converted from it), with as many threads, behind
the same prompt.

A step adds one token to each of M rows that share the prompt, gives all their logits, and is taken
back. Drafts are k rows of equal length (stops off): ours by the product's own method, theirs by
sampling k sequences over the shared prompt. In both, the last token of the prompt is computed anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.decode import DEFAULT, drafter
from benchmarks.harness import Row, median_ratio, report
from benchmarks.prompts import code_prompt
from benchmarks.steps import Steps
from polydraft.models import sources
from polydraft.models.cache_dir import cache_root, locked, require_space
from polydraft.models.load import load_model
from polydraft.models.registry import DEFAULT_SMALL, load_registry
from polydraft.models.spec import ModelSpec
from polydraft.models.store import ensure_model
from polydraft.models.threads import available

PROMPT, LENGTH = 256, 24
ROWS, QUICK_ROWS = (1, 2, 3, 4, 8, 16), (1, 3, 8)
STEP_TARGET = {1: ">= 1.0"}
DRAFT_TARGET = {3: ">= 1.5", 8: ">= 2.0"}
_REST_S = 0.05  # between turns: threads that still spin go to sleep


def gguf_file(spec: ModelSpec) -> Path:
    """The file that the model was converted from, in the user's cache; fetched once."""
    directory = cache_root() / "benchmarks" / "gguf"
    kept = directory / f"{spec.name}.gguf"
    with locked(cache_root(), f"{spec.name}.gguf"):
        if kept.exists():
            return kept
        require_space(directory, 2 * (spec.bytes or 0))
        print(f"fetching the GGUF file of {spec.name} (once)", flush=True)
        work = directory / f"{spec.name}.download"
        found = sources.fetch(spec, work, lambda stage, done, total: None)
        if not found.path.is_relative_to(work):
            return found.path  # the hub's cache keeps it
        found.path.replace(kept)
        shutil.rmtree(work)
    return kept


class Worker:
    """llama.cpp in its own interpreter; one question at a time."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about = self._answer()

    def ask(self, do: str, **more: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        """SystemExit if it has ended; what went wrong stands on its standard error."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._close()
            raise SystemExit(f"the llama.cpp process ended, status {self._process.returncode}")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        """It ends by itself when its input does."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def in_turn(
    ours: Callable[[], float], theirs: Callable[[], float], rounds: int
) -> tuple[list[float], list[float]]:
    """Both sides' seconds, in turn; the first round warms up and does not count."""
    pairs = []
    for _ in range(1 + rounds):
        time.sleep(_REST_S)
        mine = ours()
        time.sleep(_REST_S)
        pairs.append((mine, theirs()))
    return [a for a, _ in pairs[1:]], [b for _, b in pairs[1:]]


def steps_in_turn(
    steps: Steps, worker: Worker, rows: int, repeats: int, rounds: int
) -> tuple[list[float], list[float]]:
    """A turn is the median of `repeats` steps."""

    def ours() -> float:
        return statistics.median(steps.once(rows) for _ in range(repeats))

    def theirs() -> float:
        return float(statistics.median(worker.ask("steps", rows=rows, repeats=repeats)))

    return in_turn(ours, theirs, rounds)


def drafts_in_turn(
    draft: Callable[[], object], worker: Worker, k: int, rounds: int
) -> tuple[list[float], list[float]]:
    def ours() -> float:
        start = time.perf_counter()
        draft()
        return time.perf_counter() - start

    def theirs() -> float:
        return float(worker.ask("drafts", k=k, length=LENGTH))

    return in_turn(ours, theirs, rounds)


def compared(
    what: str, ours: list[float], theirs: list[float], unit_ms: bool, target: str = ""
) -> list[Row]:
    """Three rows: both sides' median, and the median of the ratios of their turns."""
    factor, unit = (1000, "ms") if unit_ms else (1, "s")
    return [
        Row(f"{what}: polydraft", statistics.median(ours) * factor, unit),
        Row(f"{what}: llama.cpp", statistics.median(theirs) * factor, unit),
        Row(f"{what}: llama.cpp / ours", median_ratio(theirs, ours), "x", target),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, rougher figures")
    parser.add_argument("--llama-python", required=True, help="an interpreter with llama_cpp")
    asked = parser.parse_args()
    if shutil.which(asked.llama_python) is None:
        parser.error(f"{asked.llama_python} is not an interpreter")
    rounds, repeats = (2, 3) if asked.quick else (8, 6)
    spec = load_registry().get(DEFAULT_SMALL)
    file = gguf_file(spec)
    loaded = load_model(spec, ensure_model(spec), device="cpu")
    prompt, threads = code_prompt(loaded, PROMPT), available()
    script = str(Path(__file__).with_name("llama_worker.py"))
    with Worker([asked.llama_python, script, str(file), str(threads)]) as worker:
        print(f"llama-cpp-python {worker.about['version']}: {worker.about['system']}")
        print(f"{spec.name}; ours: {loaded.weights}, {DEFAULT}; both: {threads} threads")
        worker.ask("prompt", ids=prompt)
        steps = Steps(loaded.model, prompt)
        rows = []
        for count in QUICK_ROWS if asked.quick else ROWS:
            ours, theirs = steps_in_turn(steps, worker, count, repeats, rounds)
            what = "single row step" if count == 1 else f"step of {count} rows"
            rows += compared(what, ours, theirs, True, STEP_TARGET.get(count, ""))
        for k in DRAFT_TARGET:
            draft = partial(drafter(loaded, DEFAULT, k, LENGTH), prompt)
            ours, theirs = drafts_in_turn(draft, worker, k, rounds)
            rows += compared(f"k={k} drafts of {LENGTH}", ours, theirs, False, DRAFT_TARGET[k])
    report("llama", rows, asked.quick)


if __name__ == "__main__":
    main()
