"""What a rule is made of: one request's page, and what may be asked about it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TypeVar

import torch

from polydraft.completion.monitor import FREE, Constraint, Evidence
from polydraft.monitors.analysis import Analyser
from polydraft.monitors.broker import Answer, Broker
from polydraft.monitors.spot import Page
from polydraft.monitors.strictness import Strictness
from polydraft.monitors.vocabulary import Words

T = TypeVar("T")

_TICK = 0.01  # seconds between two looks at the request's own clock


@dataclass(frozen=True, slots=True)
class Context:
    """`broker` is None where there is no analyser for the language; then nothing is asked.

    `vocabulary` is None where no token is looked at: rules only `foresee`.
    """

    page: Page
    vocabulary: Future[Words] | None
    strictness: Strictness
    broker: Broker | None
    poll: Callable[[], None]

    @property
    def words(self) -> Words:
        """Waits for them: they are made while a first prompt is read."""
        assert self.vocabulary is not None
        while not self.vocabulary.done():
            self.poll()
            wait([self.vocabulary], _TICK)
        return self.vocabulary.result()

    def tokens(self, names: frozenset[str], typed: bytes) -> torch.Tensor:
        """As `NameMasks.tokens`."""
        return self.words.names.tokens(names, typed, self.strictness.canonical)

    def beginning(self, names: frozenset[str], typed: bytes, attached: bool) -> torch.Tensor:
        """Where a name may stand: the tokens that go on with one that has begun; behind nothing,
        where brackets and the like may come, those that begin a wrong one (`Words.wrong_starts`).
        """
        if typed:
            return self.tokens(names, typed)
        return self.words.wrong_starts(names, attached)

    def ask(self, key: Hashable, run: Callable[[Analyser], T]) -> Answer[T]:
        """As `Broker.ask`."""
        assert self.broker is not None
        return self.broker.ask(key, run)

    def once_known(self, answer: Answer[T], then: Callable[[T], Constraint]) -> Constraint:
        """What follows from an answer: `late` if it is not there in time, nothing if it is none."""
        if not answer.wait(self.poll):
            return Constraint(late=True)
        return FREE if answer.value is None else then(answer.value)

    def if_known(self, answer: Answer[T], then: Callable[[T], Constraint]) -> Constraint:
        """As `once_known`, of a rule that makes nothing impossible: there is nothing to take back
        when an answer comes late."""
        found = self.once_known(answer, then)
        return FREE if found.late else found

    def evidence(self, monitor: str, grade: str, names: int) -> Evidence:
        analyser = "" if self.broker is None else self.broker.analyser
        return Evidence(monitor, analyser, grade, names)
