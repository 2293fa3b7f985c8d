"""The workspace's n-grams: their memory and speed on real code, and whether they are right.

Memory: Python sources of packages in this environment, put into an index file by file.

Right: of each package some files are left out, the others are the workspace. At places in those
files the model's nine best tokens are interpolated as a drafter for k = 3 does it, and counted by
how often the true token comes first and by its loss, where it is among the nine. The prompt is the
file up to the place.
"""

from __future__ import annotations

import importlib.util
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.harness import Row, arguments, report
from polydraft.completion.ngram import NGrams
from polydraft.completion.ngram_index import NGramIndex
from polydraft.completion.protocols import Feed
from polydraft.lsp_server.settings import ModelSettings
from polydraft.lsp_server.source_files import LARGEST_FILE
from polydraft.lsp_server.wiring import ModelProvider
from polydraft.models.load import LoadedModel

MEMORY = ("rich", "typer", "pygls", "networkx", "hypothesis", "transformers.generation")
WORKSPACES = ("rich", "pygls", "networkx", "typer")
UNIT = "MB / million tokens"
BEST, CONTEXT, WINDOW = 9, 320, 640  # tokens: candidates, read before the first place, of a file


def texts_of(package: str, loaded: LoadedModel) -> list[list[int]]:
    found = importlib.util.find_spec(package)
    assert found is not None and found.origin is not None
    files = sorted(Path(found.origin).parent.rglob("*.py"))
    texts = [file.read_text(encoding="utf-8") for file in files if file.stat().st_size]
    return [loaded.tokenizer.encode(text) for text in texts if len(text) <= LARGEST_FILE]


def memory(packages: Sequence[str], loaded: LoadedModel) -> list[Row]:
    started = time.perf_counter()
    of_each = {package: texts_of(package, loaded) for package in packages}
    encoding = time.perf_counter() - started
    rows = []
    for package, own in of_each.items():
        index = NGramIndex(max_bytes=1 << 40)
        for number, text in enumerate(own):
            index.put(str(number), text)
        size = index.nbytes / index.tokens
        rows.append(Row(f"memory, {package} ({index.tokens:,} tokens)", size, UNIT))
    texts = [text for own in of_each.values() for text in own]
    index = NGramIndex(max_bytes=1 << 40)
    started, slowest = time.perf_counter(), 0.0
    for number, text in enumerate(texts):
        before = time.perf_counter()
        index.put(str(number), text)
        slowest = max(slowest, time.perf_counter() - before)
    counting, millions = time.perf_counter() - started, index.tokens / 1e6
    text = max(texts, key=len)
    edited = [*text[: len(text) // 2], *text[:5], *text[len(text) // 2 :]]
    started = time.perf_counter()
    index.put(str(texts.index(text)), edited)
    edit = time.perf_counter() - started
    context = [text[:3], text[1:3], text[2:3]]
    started = time.perf_counter()
    for _ in range(1000):
        index.following(context, text[:BEST])
    asked = time.perf_counter() - started
    return [
        *rows,
        Row(f"memory, all ({index.tokens:,} tokens)", index.nbytes / index.tokens, UNIT),
        Row("reading and tokenising", encoding / millions, "s / million tokens"),
        Row("counting", counting / millions, "s / million tokens"),
        Row("slowest count of a text", 1000 * slowest, "ms"),
        Row(f"edit of a text of {len(text)} tokens", 1000 * edit, "ms"),
        Row(f"3 contexts, {BEST} tokens each", 1000 * asked, "us"),
    ]


def rightness(packages: Sequence[str], files: int, loaded: LoadedModel) -> list[Row]:
    hits, loss, places = [0, 0, 0], [0.0, 0.0, 0.0], 0
    for package in packages:
        texts = texts_of(package, loaded)
        long = [number for number, text in enumerate(texts) if len(text) > WINDOW]
        left_out = random.Random(0).sample(long, min(files, len(long) // 3))
        index = NGramIndex(max_bytes=1 << 40)
        for number in set(range(len(texts))) - set(left_out):
            index.put(str(number), texts[number])
        for number in left_out:
            ids = texts[number][:WINDOW]
            logits = loaded.model.forward(  # [WINDOW - CONTEXT, V]
                loaded.model.new_cache(),
                Feed(None, torch.tensor(ids), torch.arange(WINDOW), None, CONTEXT),
            )
            for at, best in enumerate(logits.topk(BEST).indices.tolist()[:-1], CONTEXT):
                if ids[at + 1] not in best:
                    continue
                true = best.index(ids[at + 1])
                p = torch.softmax(logits[at - CONTEXT, best].double(), 0).tolist()
                prompt = ids[: at + 1]
                near = NGrams(prompt, prompt=prompt)
                both = NGrams(prompt, prompt=prompt, workspace=index)
                ways = (p, near.interpolate((), best, p), both.interpolate((), best, p))
                for way, q in enumerate(ways):
                    hits[way] += max(range(BEST), key=q.__getitem__) == true
                    loss[way] -= math.log(q[true])
                places += 1
    rows = [Row("places", places, "")]
    for way, name in enumerate(("model alone", "with the prompt's", "with the workspace's")):
        rows.append(Row(f"true token first, {name}", hits[way] / places, ""))
        rows.append(Row(f"loss of the true token, {name}", loss[way] / places, "nats"))
    return rows


def main() -> None:
    quick = arguments(__doc__ or "").quick
    loaded = ModelProvider().load(ModelSettings(), lambda message, fraction: None).loaded
    rows = memory(MEMORY[:2] if quick else MEMORY, loaded)
    rows += rightness(WORKSPACES[:2] if quick else WORKSPACES, 2 if quick else 8, loaded)
    report("ngrams", rows, quick)


if __name__ == "__main__":
    with torch.inference_mode():
        main()
