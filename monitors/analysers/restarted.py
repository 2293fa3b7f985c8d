"""One process at a time, started when it is needed and anew when it has ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from polydraft.monitors.analysis import AnalyserError


class Killed(Protocol):
    def kill(self) -> None:
        """End it. Idempotent, from any thread."""


P = TypeVar("P", bound=Killed)


class Restarted(Generic[P]):
    """`current` is the one that runs, None between two. Thread-safe."""

    def __init__(self, name: str, start: Callable[[], P]) -> None:
        """`name` is for messages; `start` raises `AnalyserError` if it fails."""
        self.current: P | None = None
        self._name = name
        self._start = start
        self._lock = threading.Lock()
        self._closed = False

    def get(self) -> P:
        """The one that runs, or a new one; raises `AnalyserError`."""
        with self._lock:
            if self._closed:
                raise AnalyserError(f"{self._name} is closed.")
            if self.current is None:
                self.current = self._start()
            return self.current

    def end(self, process: P) -> None:
        """The next `get` starts another."""
        with self._lock:
            if self.current is process:
                self.current = None
        process.kill()

    def close(self) -> None:
        """End it for good. Idempotent, from any thread."""
        with self._lock:
            self._closed = True
            process, self.current = self.current, None
        if process is not None:
            process.kill()
