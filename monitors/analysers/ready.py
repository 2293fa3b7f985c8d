"""Waiting for an analyser that is still starting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from polydraft.monitors.analysis import Starting

T = TypeVar("T")


def once_ready(ask: Callable[[], T], within: float = 60.0) -> T:
    """Ask until it is no longer `Starting`; raises that after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        try:
            return ask()
        except Starting:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
