"""How long-running model work reports where it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""`progress(stage, done, total)`, in bytes; `total` is 0 where it is not known.

Stages: `wait` (another process holds the lock), `download`, `verify`, `convert`. An exception that
the callback raises stops the work; what was downloaded so far is kept and resumed next time.
"""


def silent(stage: str, done: int, total: int) -> None:
    """A `Progress` that reports to nobody."""
