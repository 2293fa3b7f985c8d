"""How many threads torch's own operations take beside a model's passes."""

from __future__ import annotations

from functools import cache

import torch


@cache
def available() -> int:
    """Threads that a pass may take: what torch was started with, whoever limits it later."""
    return torch.get_num_threads()


def limit_torch(threads: int) -> None:
    """Let torch's operations on the calling thread take that many threads.

    OpenMP's threads go on spinning when their work is done. Beside a pass that has threads of its
    own they take its cores: four rows cost 15.8 ms instead of 13.0 (docs/measurements.md).
    """
    available()  # before it is limited
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
