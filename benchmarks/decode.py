"""What k drafts cost: our methods against one greedy draft, and against transformers.

Same model, prompt, number of drafts and draft length for all; the prompt is in the cache (that is
how a keystroke finds it) unless a row says otherwise. Stops are off, so that lengths are equal.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from benchmarks.harness import Row, arguments, interleaved, median_ratio, report
from polydraft.completion.drafters import DRAFTERS, Task
from polydraft.completion.engine import Engine
from polydraft.completion.meter import Meter
from polydraft.completion.ngram import NGrams
from polydraft.completion.prompt import build_prompt
from polydraft.completion.rows import Ends
from polydraft.completion.types import Budget, Request
from polydraft.models.load import LoadedModel, load_model
from polydraft.models.registry import DEFAULT_SMALL, load_registry
from polydraft.models.store import ensure_model
from polydraft.models.threads import available, limit_torch

PROMPT, LENGTH, QUICK_LENGTH, K = 512, 24, 12, 3
DEFAULT = "led-beam"  # that `auto` runs, with a row for each draft
PLAIN = {3: "<= 1.15", 8: "<= 1.3"}  # k -> target


def prompts(loaded: LoadedModel, count: int) -> list[list[int]]:
    """Fill-in-the-middle prompts of about `PROMPT` tokens from this repository's own files."""
    found = []
    for path in sorted((Path(__file__).parent.parent / "completion").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        if len(lines) < 60:
            continue
        at = len(lines) * 2 // 3
        line = lines[at]
        cut = len("".join(lines[:at])) + len(line) // 2
        request = Request(text[:cut], text[cut:], path.name, "python", budget=Budget(PROMPT))
        found.append(list(build_prompt(request, loaded.tokenizer, loaded.prompt_format).ids))
    return found[:count]


def drafter(loaded: LoadedModel, method: str, k: int, length: int) -> Callable[..., Meter]:
    """A function that drafts k x length tokens; a cold call does not know the prompt yet."""
    warm = Engine(loaded.model, DRAFTERS[method])
    task = Task(
        k, Ends(frozenset(), length), lambda ids, finish: str(ids), lambda row: None, NGrams()
    )

    def draft(prompt: list[int], cold: bool = False) -> Meter:
        meter = Meter()
        engine = Engine(loaded.model, DRAFTERS[method]) if cold else warm
        rows = engine.draft(prompt, task, meter).rows
        assert len(rows) == k and all(len(row.ids) == length for row in rows)
        return meter

    return draft


def generate(directory: Path, dtype: torch.dtype, length: int) -> Callable[[list[int]], object]:
    """transformers' own generate: K sampled sequences in one batch."""
    module = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype, use_safetensors=True)

    def run(prompt: list[int]) -> object:
        limit_torch(available())  # our own passes leave it one thread
        ids = torch.tensor([prompt])
        return module.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            num_return_sequences=K,
            do_sample=True,
            min_new_tokens=length,
            max_new_tokens=length,
            pad_token_id=0,
        )

    return run


def main() -> None:
    quick = arguments(__doc__ or "").quick
    torch.manual_seed(0)
    spec = load_registry().get(DEFAULT_SMALL)
    directory = ensure_model(spec)
    loaded = load_model(spec, directory)
    texts = prompts(loaded, 1 if quick else 6)
    repeats, length = (1, QUICK_LENGTH) if quick else (3, LENGTH)

    one = drafter(loaded, "greedy", 1, length)
    ours = drafter(loaded, DEFAULT, K, length)
    methods = {"one": one, "ours": ours} | {
        f"plain {k}": drafter(loaded, "superposed-plain", k, length) for k in PLAIN
    }
    warm: dict[str, list[float]] = {}
    for prompt in texts:
        runs = {name: partial(draft, prompt) for name, draft in methods.items()}
        for name, times in interleaved(runs, repeats).items():
            warm.setdefault(name, []).extend(times)
    passes = statistics.mean(ours(prompt).passes for prompt in texts)

    print({name: [round(t, 2) for t in times] for name, times in warm.items()}, flush=True)
    cold: dict[str, list[float]] = {}
    for prompt in texts[: 1 if quick else 3]:
        runs = {name: partial(methods[name], prompt, True) for name in ("one", "ours")}
        for name, times in interleaved(runs, 1, warm_up=False).items():
            cold.setdefault(name, []).extend(times)

    rows = [
        Row("one greedy draft, prompt cached", statistics.median(warm["one"]), "s"),
        Row("3 drafts, prompt cached", statistics.median(warm["ours"]), "s"),
        Row(f"forward passes for the 3 drafts (one draft: {length})", passes, "passes"),
        Row("3 drafts / 1, prompt cached", median_ratio(warm["ours"], warm["one"]), "x", "<= 1.4"),
        Row("3 drafts / 1, prompt new", median_ratio(cold["ours"], cold["one"]), "x"),
        *(
            Row(
                f"{k} drafts plain superposed / 1, prompt cached",
                median_ratio(warm[f"plain {k}"], warm["one"]),
                "x",
                target,
            )
            for k, target in PLAIN.items()
        ),
    ]
    formats = [("f32", torch.float32, ""), ("bf16", torch.bfloat16, ">= 4.0")]
    for name, dtype, target in formats[: 1 if quick else 2]:
        theirs_of = generate(directory, dtype, length)
        theirs = []
        for prompt in texts[: len(cold["ours"])]:
            start = time.perf_counter()
            theirs_of(prompt)
            theirs.append(time.perf_counter() - start)
            print(f"generate {name}: {theirs[-1]:.1f} s", flush=True)
        rows.append(
            Row(f"transformers generate, 3 sequences, {name}", statistics.median(theirs), "s")
        )
        rows.append(
            Row(
                f"transformers generate {name} / 3 drafts, prompt new",
                median_ratio(theirs, cold["ours"]),
                "x",
                target,
            )
        )
    print(f"model {spec.name}, weights {loaded.weights}, prompt {PROMPT}, {K} x {length} tokens")
    report("decode", rows, quick)


if __name__ == "__main__":
    main()
