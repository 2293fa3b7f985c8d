"""A pass's attention: prefix and suffix apart (`models/shared_prefix.py`) against one masked call.

The shape is the default model's: 24 layers, 14 query heads on 2 key heads of 64. Rows of a draft
tree are 8 tokens deep behind the prefix; the last case is a chunk of a prompt. Each way starts from
what a pass starts from, the boolean matrix of who sees whom, so the mask is paid for once a pass.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from functools import partial

import torch

from benchmarks.harness import Row, arguments, interleaved, median_ratio, report
from polydraft.models.attention import group_mask, grouped
from polydraft.models.shared_prefix import split_at

LAYERS, HEADS, GROUPS, SIZE = 24, 14, 2, 64
PREFIXES, QUICK_PREFIXES = (256, 512, 1024, 2048, 4096), (256, 1024, 4096)
ROWS, DEPTH, CHUNK = (1, 3, 8, 24), 8, 64
Layer = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # query, key, value


def tree(prefix: int, rows: int) -> torch.Tensor:
    """The step at which every row feeds its token number DEPTH -> visible [rows, slots]."""
    behind = torch.eye(rows, dtype=torch.bool).repeat(1, DEPTH)
    return torch.cat([torch.ones(rows, prefix, dtype=torch.bool), behind], 1)


def chunk(prefix: int) -> torch.Tensor:
    """CHUNK tokens of a prompt -> visible [CHUNK, slots]."""
    return torch.ones(CHUNK, prefix + CHUNK, dtype=torch.bool).tril_(prefix)


def layers(visible: torch.Tensor) -> list[Layer]:
    """Random queries, keys and values; every layer has its own, as a real pass reads them."""
    new, length = visible.shape
    shapes = (HEADS, new, SIZE), (GROUPS, length, SIZE), (GROUPS, length, SIZE)
    made = [[torch.randn(1, *shape) for shape in shapes] for _ in range(LAYERS)]
    return [(query, key, value) for query, key, value in made]


def attend(visible: torch.Tensor, held: Sequence[Layer], prefix: int) -> None:
    mask = group_mask(visible[:, prefix:], HEADS // GROUPS, torch.float32)
    for query, key, value in held:
        grouped(query, key, value, mask)


def compare(name: str, visible: torch.Tensor, prefix: int, repeats: int) -> list[Row]:
    held = layers(visible)
    runs: dict[str, Callable[[], object]] = {
        "masked": partial(attend, visible, held, 0),
        "apart": partial(attend, visible, held, prefix),
    }
    times = interleaved(runs, repeats)
    taken = "apart" if split_at(visible, HEADS, torch.device("cpu")) else "masked"
    return [
        *(Row(f"{name}: {way}", statistics.median(times[way]) * 1e3, "ms a pass") for way in runs),
        Row(f"{name}: {taken} is used", median_ratio(times["apart"], times["masked"]), "x masked"),
    ]


@torch.inference_mode()
def main() -> None:
    quick = arguments(__doc__ or "").quick
    torch.manual_seed(0)
    found: list[Row] = []
    for prefix in QUICK_PREFIXES if quick else PREFIXES:
        for rows in ROWS:
            # A single row sees all its slots, so it has no suffix and no mask at all.
            visible = tree(prefix, rows)
            end = prefix if rows > 1 else visible.shape[1]
            repeats = 15 if quick else 31
            found += compare(f"prefix {prefix}, {rows} rows", visible, end, repeats)
        found += compare(f"prefix {prefix}, a chunk of {CHUNK}", chunk(prefix), prefix, 7)
    report("attention", found, quick)


if __name__ == "__main__":
    main()
