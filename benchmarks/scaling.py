"""Cost against the prompt's length and against k, on the default model: `make bench-scaling`.

Prompt: seconds to read it (prefill), and milliseconds of a step of 1 and of 3 rows behind it. k:
milliseconds of k drafts of 24 tokens, stops off, behind a cached prompt, for the default method,
plain superposed decoding, beam search and independent rows. Runs of one k take turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.decode import DEFAULT
from benchmarks.harness import Row, arguments, interleaved, report
from benchmarks.plots import Panel, lines
from benchmarks.prompts import code_prompt
from benchmarks.steps import Steps
from polydraft.completion.drafters import DRAFTERS, Task
from polydraft.completion.engine import Engine
from polydraft.completion.meter import Meter
from polydraft.completion.ngram import NGrams
from polydraft.completion.rows import Ends
from polydraft.models.load import LoadedModel, load_model
from polydraft.models.registry import DEFAULT_SMALL, load_registry
from polydraft.models.store import ensure_model

PROMPTS, QUICK_PROMPTS = (256, 512, 1024, 2048, 4096, 8192), (256, 512, 1024)
KS, QUICK_KS = (1, 2, 3, 4, 6, 8, 12, 16), (1, 3)
STEP_ROWS = (1, 3)
PROMPT, LENGTH = 512, 24
RIVALS = {"superposed-plain": "plain superposed", "beam": "beam", "nucleus": "rows"}
_DOCS = Path(__file__).parent.parent / "docs"

Series = dict[str, list[tuple[float, float]]]  # name -> (x, y)


def against_prompt(
    loaded: LoadedModel, lengths: Sequence[int], reads: int, repeats: int
) -> tuple[Series, Series]:
    """-> seconds of prefill, and milliseconds a step by rows; x is the prompt's length."""
    prefill: Series = {"prefill": []}
    steps: Series = {_rows(rows): [] for rows in STEP_ROWS}
    Steps(loaded.model, code_prompt(loaded, 2 * loaded.model.prefill_chunk))  # warms up
    for length in lengths:
        prompt, times = code_prompt(loaded, length), []
        for _ in range(reads):
            start = time.perf_counter()
            held = Steps(loaded.model, prompt)
            times.append(time.perf_counter() - start)
        prefill["prefill"].append((length, statistics.median(times)))
        runs = {_rows(rows): _step(held, rows) for rows in STEP_ROWS}
        for name, taken in interleaved(runs, repeats).items():
            steps[name].append((length, 1000 * statistics.median(taken)))
        print(f"{length} tokens: {prefill['prefill'][-1][1]:.1f} s", flush=True)
    return prefill, steps


def _step(held: Steps, rows: int) -> Callable[[], object]:
    return lambda: held.once(rows)


def _rows(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"


def against_k(loaded: LoadedModel, ks: Sequence[int], repeats: int) -> Series:
    """Milliseconds of all drafts by method; x is k."""
    prompt = code_prompt(loaded, PROMPT)
    methods = {DEFAULT: f"default ({DEFAULT})"} | RIVALS
    found: Series = {label: [] for label in methods.values()}
    for k in ks:
        runs = {label: _drafts(loaded, prompt, name, k) for name, label in methods.items()}
        for label, times in interleaved(runs, repeats).items():
            found[label].append((k, 1000 * statistics.median(times)))
        print(f"k = {k}, ms:", {name: round(y[-1][1]) for name, y in found.items()}, flush=True)
    return found


def _drafts(loaded: LoadedModel, prompt: list[int], method: str, k: int) -> Callable[[], object]:
    engine = Engine(loaded.model, DRAFTERS[method])
    ends = Ends(frozenset(), LENGTH)
    task = Task(k, ends, lambda ids, finish: str(ids), lambda row: None, NGrams())
    engine.prefill(prompt, Meter())
    return lambda: engine.draft(prompt, task, Meter())


def rows_of(what: str, series: Mapping[str, Sequence[tuple[float, float]]], unit: str) -> list[Row]:
    """One row a point; `what` says what x is, for example "{name}, {x} tokens of prompt"."""
    return [
        Row(what.format(name=name, x=f"{x:g}"), y, unit)
        for name, points in series.items()
        for x, y in points
    ]


def main() -> None:
    quick = arguments(__doc__ or "").quick
    spec = load_registry().get(DEFAULT_SMALL)
    loaded = load_model(spec, ensure_model(spec), device="cpu")
    print(f"{loaded.name}, weights {loaded.weights}", flush=True)
    lengths, ks = (QUICK_PROMPTS, QUICK_KS) if quick else (PROMPTS, KS)
    prefill, steps = against_prompt(loaded, lengths, *((1, 3) if quick else (3, 10)))
    drafts = against_k(loaded, ks, 1 if quick else 5)
    report(
        "scaling",
        [
            *rows_of("{name} of {x} tokens", prefill, "s"),
            *rows_of("step of {name} behind {x} tokens", steps, "ms"),
            *rows_of("k={x} drafts of 24, {name}", drafts, "ms"),
        ],
        quick,
    )
    if quick:
        return
    lines(
        [
            Panel("tokens of prompt", "prefill, s", prefill),
            Panel("tokens of prompt", "a decode step, ms", steps),
        ],
        f"{loaded.name}, {loaded.weights}: cost of a longer prompt",
        _DOCS / "scaling-prompt.svg",
    )
    panel = Panel("k", f"all drafts of {LENGTH} tokens, ms", drafts)
    title = f"{loaded.name}, {loaded.weights}: cost of k drafts"
    lines([panel], title, _DOCS / "scaling-k.svg")


if __name__ == "__main__":
    main()
