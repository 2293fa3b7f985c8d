"""Monitors with a stopwatch, and without foresight."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from polydraft.completion.monitor import Constraint, Likely, Monitor, Monitoring, State
from polydraft.completion.protocols import Tokenizer
from polydraft.completion.types import Draft, Request


@dataclass
class Timed:
    """Implements `Monitoring`. With `foresees` off no analysis begins before it is needed."""

    monitoring: Monitoring
    foresees: bool = True
    held_back: str = ""  # of the request that came last
    every_ms: list[float] = field(default_factory=list)  # of each token
    constrained_ms: list[float] = field(default_factory=list)  # where there was something to say
    total_s: float = 0.0  # in all calls
    late: int = 0

    def monitor(
        self, request: Request, tokenizer: Tokenizer, held_back: str, poll: Callable[[], None]
    ) -> Monitor | None:
        self.held_back = held_back
        self.every_ms, self.constrained_ms, self.total_s, self.late = [], [], 0.0, 0
        start = time.perf_counter()
        inner = self.monitoring.monitor(request, tokenizer, held_back, poll)
        self.total_s += time.perf_counter() - start
        return None if inner is None else _TimedMonitor(inner, self)

    def glance(self, request: Request, draft: Draft) -> None:
        self.monitoring.glance(request, draft)

    def is_sound(self, request: Request, draft: Draft) -> bool:
        return self.monitoring.is_sound(request, draft)

    def judge(
        self, request: Request, drafts: Sequence[Draft], poll: Callable[[], None]
    ) -> tuple[Draft, ...]:
        start = time.perf_counter()
        judged = self.monitoring.judge(request, drafts, poll)
        self.total_s += time.perf_counter() - start
        return judged


@dataclass(frozen=True, slots=True)
class _TimedMonitor:
    monitor: Monitor
    timed: Timed

    @property
    def name(self) -> str:
        return self.monitor.name

    def begin(self) -> State:
        return self.monitor.begin()

    def observe(self, state: State, token: int) -> State:
        start = time.perf_counter()
        result = self.monitor.observe(state, token)
        self.timed.total_s += time.perf_counter() - start
        return result

    def foresee(self, state: State) -> None:
        if self.timed.foresees:
            start = time.perf_counter()
            self.monitor.foresee(state)
            self.timed.total_s += time.perf_counter() - start

    def constrain(self, state: State, likely: Likely) -> Constraint:
        start = time.perf_counter()
        found = self.monitor.constrain(state, likely)
        taken = time.perf_counter() - start
        self.timed.total_s += taken
        self.timed.every_ms.append(1000 * taken)
        if found.masks or found.late:
            self.timed.constrained_ms.append(1000 * taken)
        self.timed.late += found.late
        return found
