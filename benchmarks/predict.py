"""What counted work would take with models that are further apart, on a GPU.

A decode pass of one request is bound by reading the weights (Pope et al., arXiv 2211.05102; for one
row and for sixteen the difference is some 17 %, as measured by others on a 7B model), so a pass
takes

    parameters x bytes / memory bandwidth, plus a share of the wide pass's extra for each token

The published figures assumed here: an RTX 4090 (1008 GB/s), weights in bf16, 65 % of the bandwidth
reached, 0.17 / 15 of a pass more for each further token, 0.6 ms of overhead a pass. Prompts are
left out: both models hold them, as while typing.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

BANDWIDTH, REACHED, BYTES = 1008e9, 0.65, 2
PER_TOKEN = 0.17 / 15
OVERHEAD_MS = 0.6
PAIRS = {"3B + 15B": (3.0e9, 16.0e9), "1.5B + 7B": (1.5e9, 7.6e9)}  # parameters


def pass_ms(parameters: float, tokens: int) -> float:
    """Milliseconds of a pass over `tokens` new tokens."""
    read = 1000 * parameters * BYTES / (BANDWIDTH * REACHED)
    return OVERHEAD_MS + read * (1 + PER_TOKEN * (tokens - 1))


def total_ms(records: Sequence[Mapping[str, Any]], small: float, large: float) -> float:
    """Of all passes in some records of `benchmarks.pair`; small and large in parameters."""
    return sum(
        sum(pass_ms(small, tokens) for tokens in record["small_passes"])
        + sum(pass_ms(large, tokens) for tokens in record["large_passes"])
        for record in records
    )


def relative(
    records: Sequence[Mapping[str, Any]], alone: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """Predicted time of a policy over that of the large model alone, for each of `PAIRS`."""
    return {
        label: total_ms(records, *sizes) / total_ms(alone, *sizes) for label, sizes in PAIRS.items()
    }


def counts(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean counts of a request: passes of each model and their mean length."""
    found = {}
    for model in ("small", "large"):
        passes = [record[f"{model}_passes"] for record in records]
        lengths = [length for each in passes for length in each]
        found[f"{model} passes"] = statistics.fmean(map(len, passes))
        found[f"tokens in a {model} pass"] = statistics.fmean(lengths) if lengths else 0.0
    return found
