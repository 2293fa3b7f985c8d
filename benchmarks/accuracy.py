"""Next-token accuracy of each weight format against real code, and agreement with full precision.

Text: Python sources of the pinned packages in this environment. Windows of 512 tokens; the first
128 are context only. The reference computes in float32 on the checkpoint's bf16 weights. The
weight-only kernels are slow at so many rows, so those formats are judged on a part of the text.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import torch

from benchmarks.harness import Row, arguments, report
from polydraft.completion.protocols import Feed, Model
from polydraft.models import quantize
from polydraft.models.costs import available_formats
from polydraft.models.load import load_model
from polydraft.models.registry import DEFAULT_SMALL, load_registry
from polydraft.models.store import ensure_model
from polydraft.models.tokenizer import ModelTokenizer

PACKAGES = ("pygls", "rich", "typer", "websockets", "huggingface_hub", "hypothesis", "filelock")
WINDOW, CONTEXT, TOKENS = 512, 128, 20_000
WEIGHT_ONLY = ("int8w", "int4w")
FEW_TOKENS = 5_000


def windows(tokenizer: ModelTokenizer, tokens: int) -> list[list[int]]:
    """Enough windows for `tokens` predictions, one a file, from shuffled files (fixed seed)."""
    import pygls

    site = Path(pygls.__file__).parent.parent
    files = [f for package in PACKAGES for f in sorted((site / package).rglob("*.py"))]
    random.Random(0).shuffle(files)
    found = []
    for file in files:
        ids = tokenizer.encode(file.read_text(encoding="utf-8"))
        if len(ids) > WINDOW:
            found.append(ids[: WINDOW + 1])
        if len(found) * (WINDOW - CONTEXT) >= tokens:
            return found
    raise SystemExit("too little text in the environment")


def predictions(model: Model, texts: list[list[int]]) -> tuple[torch.Tensor, float]:
    """-> the top-1 token at each place [n], and the mean log-probability of the true one."""
    best, total = [], 0.0
    for ids in texts:
        logits = model.forward(
            model.new_cache(),
            Feed(None, torch.tensor(ids[:-1]), torch.arange(WINDOW), None, CONTEXT),
        )
        truth = torch.tensor(ids[CONTEXT + 1 :])
        best.append(logits.argmax(-1))
        total += float(torch.log_softmax(logits, -1).gather(1, truth[:, None]).sum())
    top = torch.cat(best)
    return top, total / len(top)


def main() -> None:
    quick = arguments(__doc__ or "").quick
    spec = load_registry().get(DEFAULT_SMALL)
    directory = ensure_model(spec)
    quantize.DENSE_ROWS = 1 << 30  # weight-only formats: judge the packed weights, not the plain
    texts = windows(ModelTokenizer.from_directory(directory), 1_500 if quick else TOKENS)
    few = texts[: -(-FEW_TOKENS // (WINDOW - CONTEXT))]
    rows: list[Row] = []
    reference: torch.Tensor | None = None
    for name in ["f32", "w8a16", "int8"] if quick else ["f32", "w8a16", "int8", *WEIGHT_ONLY]:
        if name not in available_formats():
            continue
        loaded = load_model(spec, directory, device="cpu", weights=name)
        part = few if name in WEIGHT_ONLY else texts
        truth = torch.tensor([token for ids in part for token in ids[CONTEXT + 1 :]])
        start = time.perf_counter()
        top, logprob = predictions(loaded.model, part)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        reference = top if reference is None else reference
        expected = reference[: len(top)]
        accuracy = 100 * float((top == truth).float().mean())
        base = 100 * float((expected == truth).float().mean())
        rows += [
            Row(f"{name}: predictions", len(top), "tokens"),
            Row(f"{name}: top-1 accuracy", accuracy, "%"),
            Row(f"{name}: lost against f32 on the same text", base - accuracy, "points", "<= 0.5"),
            Row(f"{name}: agreement with f32", 100 * float((top == expected).float().mean()), "%"),
            Row(f"{name}: mean log-probability of the truth", logprob, "nats"),
        ]
        del loaded
    report("accuracy", rows, quick)


if __name__ == "__main__":
    main()
