"""What `layer-skip` rests on: sets of MLPs left out, how well the rest agrees, what its step costs.

The sets are chosen on some texts and judged on others, all of them files of the dev split.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import torch

from benchmarks import devset
from benchmarks.harness import Row as Measure
from polydraft.completion.guessers.layer_choice import match_on, most_spared, spread
from polydraft.completion.guessers.layer_skip import step_share, sublayers_of
from polydraft.completion.protocols import Cache, Feed
from polydraft.models.load import LoadedModel

BEFORE, JUDGED = 96, 24  # tokens of a text: in the cache, and judged
CHOOSE, JUDGE = 2, 16  # texts
SHARES = (0.25, 0.4, 0.55)

Text = tuple[Cache, list[int]]  # what is held, and the ids behind it


def measure(loaded: LoadedModel, quick: bool) -> list[Measure]:
    model = loaded.model
    texts = _texts(loaded, 5 if quick else CHOOSE + JUDGE)
    choosing, judging = texts[: 1 if quick else CHOOSE], texts[1 if quick else CHOOSE :]

    def match(skip: frozenset[int], on: Sequence[Text]) -> float:
        return statistics.fmean(match_on(model, cache, ids, skip) for cache, ids in on)

    sublayers = sublayers_of(model)
    inner = [each for each in range(3, sublayers - 2) if each % 2]
    rows = [Measure("no MLP left out: agrees with itself", match(frozenset(), judging), "")]
    chosen: frozenset[int] = frozenset()
    for share in SHARES[:1] if quick else SHARES:
        even = spread(sublayers, share)
        chosen = most_spared(inner, len(even), lambda skip: match(skip, choosing), chosen)
        print(f"{len(chosen)} MLPs: spread {sorted(even)}, chosen {sorted(chosen)}", flush=True)
        rows += [
            Measure(f"{len(even)} MLPs left out, spread: agrees", match(even, judging), ""),
            Measure(f"{len(even)} MLPs left out, chosen: agrees", match(chosen, judging), ""),
            Measure(f"{len(even)} MLPs left out: a step", step_share(model, even, 20), "x whole"),
        ]
    return rows


def _texts(loaded: LoadedModel, count: int) -> list[Text]:
    """Windows from the middle of files, one a file."""
    found: list[Text] = []
    for point in devset.points("dev"):
        ids = loaded.tokenizer.encode(point.prefix)[-BEFORE - JUDGED :]
        if len(ids) < BEFORE + JUDGED or len(found) == count:
            continue
        cache, tokens = loaded.model.new_cache(), torch.tensor(ids[:BEFORE])
        loaded.model.forward(cache, Feed(None, tokens, torch.arange(BEFORE), None, BEFORE - 1))
        found.append((cache, ids[BEFORE:]))
    return found
