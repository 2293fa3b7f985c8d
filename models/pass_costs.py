"""Times passes of a loaded model, and remembers the figures for `polydraft doctor`."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from polydraft.completion.pass_costs import MEASURED, PassCosts
from polydraft.completion.protocols import Cache, Feed, Model

_PROMPT = 128  # tokens held while passes are timed: a short prompt, for a short measurement
_REPEATS = 3


def measure(model: Model) -> PassCosts:
    """Time passes over 1 to 32 rows behind one prompt; best of a few, under a second in all.

    The best, not the mean: a machine that is busy just now would mislead for as long as the model
    is loaded.
    """
    cache = with_prompt(model)
    best = {tokens: float("inf") for tokens in MEASURED}
    for _ in range(_REPEATS):
        for tokens in MEASURED:
            best[tokens] = min(best[tokens], timed(model, cache, step(tokens)))
    return PassCosts({tokens: round(ms, 3) for tokens, ms in best.items()})


def with_prompt(model: Model) -> Cache:
    """A cache that holds a prompt."""
    cache = model.new_cache()
    ids = torch.arange(_PROMPT) % model.vocab_size
    model.forward(cache, Feed(None, ids, torch.arange(_PROMPT), None, _PROMPT - 1))
    return cache


def step(rows: int) -> Feed:
    """One token for each of several rows that go on from the prompt."""
    visible = torch.zeros(rows, _PROMPT + rows, dtype=torch.bool)
    visible[:, :_PROMPT] = True
    visible[:, _PROMPT:] = torch.eye(rows, dtype=torch.bool)
    ids, positions = torch.zeros(rows, dtype=torch.long), torch.full((rows,), _PROMPT)
    return Feed(None, ids, positions, visible)


def more_prompt(tokens: int) -> Feed:
    """The prompt's next tokens."""
    ids, positions = torch.zeros(tokens, dtype=torch.long), torch.arange(_PROMPT, _PROMPT + tokens)
    return Feed(None, ids, positions, None, tokens - 1)


def timed(model: Model, cache: Cache, feed: Feed) -> float:
    """Milliseconds of a pass behind the prompt; leaves the cache as it was."""
    start = time.perf_counter()
    model.forward(cache, feed)
    taken = time.perf_counter() - start
    cache.crop(_PROMPT)
    return 1000 * taken


def remember(cache_dir: Path, key: str, costs: PassCosts) -> None:
    """Keep the figures under `key`, e.g. the model's name, device and weights."""
    path = _path(cache_dir)
    kept = _read(path)
    kept[key] = {str(tokens): ms for tokens, ms in costs.ms.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=2), encoding="utf-8")


def remembered(cache_dir: Path) -> dict[str, PassCosts]:
    """What was measured when models were last loaded, by key; empty if nothing was."""
    found = {}
    for key, ms in _read(_path(cache_dir)).items():
        try:
            found[key] = PassCosts({int(tokens): float(value) for tokens, value in ms.items()})
        except (AttributeError, TypeError, ValueError):
            continue  # not ours
    return found


def _path(cache_dir: Path) -> Path:
    return cache_dir / "passes.json"


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
