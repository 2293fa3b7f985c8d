"""What decoding costs on a GPU, with random weights of the real shapes: `make bench-gpu`.

Time does not depend on what the weights are, so none have to be fetched: a step, a pass over
several tokens (verification), rows behind one prompt, k drafts against one, a prompt.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from transformers import AutoModelForCausalLM, Qwen2Config, Starcoder2Config

from benchmarks.harness import Row, median_ratio, report
from polydraft.completion.drafters import DRAFTERS, Task
from polydraft.completion.engine import Engine
from polydraft.completion.meter import Meter
from polydraft.completion.ngram import NGrams
from polydraft.completion.prefix_cache import PrefixCache
from polydraft.completion.rows import Ends
from polydraft.completion.tree import DraftTree
from polydraft.models.transformer import TransformerModel

PROMPT, LENGTH = 1024, 24
ROWS = (2, 3, 5, 8, 16)
METHODS = (("led-beam", 3), ("superposed-plain", 3), ("superposed-plain", 8), ("superposed", 3))


def _qwen(hidden: int, inner: int, layers: int, heads: int, keys: int, tied: bool) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=151936,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=keys,
        max_position_embeddings=4096,
        tie_word_embeddings=tied,
    )


def _star(hidden: int, inner: int, layers: int, heads: int, keys: int) -> Starcoder2Config:
    return Starcoder2Config(
        vocab_size=49152,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=keys,
        max_position_embeddings=16384,
        sliding_window=4096,
        tie_word_embeddings=layers < 40,
    )


# As the checkpoints' own configurations have them.
SHAPES: dict[str, Any] = {
    "qwen2.5-coder-0.5b": lambda: _qwen(896, 4864, 24, 14, 2, True),
    "qwen2.5-coder-1.5b": lambda: _qwen(1536, 8960, 28, 12, 2, True),
    "starcoder2-3b": lambda: _star(3072, 12288, 30, 24, 2),
    "qwen2.5-coder-7b": lambda: _qwen(3584, 18944, 28, 28, 4, False),
    "starcoder2-15b": lambda: _star(6144, 24576, 40, 48, 4),
}


def model_of(config: Any, device: str) -> TransformerModel:
    dtype = torch.bfloat16
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            module = AutoModelForCausalLM.from_config(config, dtype=dtype)
    finally:
        torch.set_default_dtype(torch.float32)
    return TransformerModel.of(module, max_slots=PROMPT + 512)


class Passes:
    """Single passes behind a cached prompt; each is taken back, so that all are alike."""

    def __init__(self, model: TransformerModel, prompt: list[int]) -> None:
        self._cache = PrefixCache(model).prefill(prompt, Meter())[0].cache
        self._model = model
        self._prompt = prompt

    def rows(self, count: int) -> float:
        """Seconds of a step of `count` rows."""
        return self._timed([[]] * count)

    def chain(self, count: int) -> float:
        """Seconds of a pass over `count` tokens that follow each other."""
        first = len(self._prompt)
        return self._timed([list(range(first, first + i)) for i in range(count)])

    def _timed(self, paths: list[list[int]]) -> float:
        tree = DraftTree(self._model, self._cache, Meter())
        start = time.perf_counter()
        tree.feed(torch.tensor(self._prompt[: len(paths)]), paths)
        seconds = time.perf_counter() - start
        self._cache.crop(len(self._prompt))
        return seconds


def repeated(run: Callable[[], float], repeats: int) -> list[float]:
    for _ in range(2):
        run()
    return [run() for _ in range(repeats)]


def drafting(
    model: TransformerModel, method: str, k: int, prompt: list[int]
) -> Callable[[], float]:
    engine = Engine(model, DRAFTERS[method])
    task = Task(
        k, Ends(frozenset(), LENGTH), lambda ids, finish: str(ids), lambda row: None, NGrams()
    )

    def run() -> float:
        start = time.perf_counter()
        engine.draft(prompt, task, Meter())
        return time.perf_counter() - start

    return run


def measured(name: str, config: Any, device: str, repeats: int) -> list[Row]:
    model = model_of(config, device)
    prompt = torch.randint(
        0, config.vocab_size, (PROMPT,), generator=torch.Generator().manual_seed(0)
    ).tolist()
    passes = Passes(model, prompt)
    step = repeated(partial(passes.rows, 1), repeats)
    rows = [Row(f"{name}: a step", 1000 * statistics.median(step), "ms")]
    for count in ROWS:
        for what, run in (("rows", passes.rows), ("tokens", passes.chain)):
            took = repeated(partial(run, count), repeats)
            rows.append(
                Row(f"{name}: a pass over {count} {what}", median_ratio(took, step), "steps")
            )
    one = repeated(drafting(model, "greedy", 1, prompt), max(3, repeats // 8))
    rows.append(Row(f"{name}: a draft of {LENGTH} tokens", 1000 * statistics.median(one), "ms"))
    for method, k in METHODS:
        took = repeated(drafting(model, method, k, prompt), max(3, repeats // 8))
        ratio = statistics.median(took) / statistics.median(one)
        rows.append(Row(f"{name}: {k} drafts, {method} / one", ratio, "x"))
    start = time.perf_counter()
    PrefixCache(model).prefill(prompt, Meter())
    rows.append(Row(f"{name}: a prompt of {PROMPT}", 1000 * (time.perf_counter() - start), "ms"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the smallest shape, few repeats")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="names by commas")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("bench-gpu needs a CUDA device; see docs/measurements.md for its figures.")
    names = asked.shapes.split(",")[: 1 if asked.quick else None]
    rows: list[Row] = []
    for name in names:
        torch.cuda.reset_peak_memory_stats()
        rows += measured(name, SHAPES[name](), "cuda", 3 if asked.quick else 40)
        rows.append(Row(f"{name}: peak memory", torch.cuda.max_memory_allocated() / 1e9, "GB"))
        print(f"{name}: done", flush=True)
        gc.collect()
        torch.cuda.empty_cache()
    report("gpu", rows, asked.quick)


if __name__ == "__main__":
    main()
