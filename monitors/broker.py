"""Between decoding and analysis: who asks does not wait longer than it pays, and nothing twice.

An analyser works on a thread of its own. What was asked last is answered first, equal questions
are one, and answers are remembered. An analyser that fails is asked again later, and the user
hears of it once.

Glossary
    answer      what an analyser will have said; perhaps nothing
    patience    how long after it was asked an answer is waited for, by all who wait together
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from polydraft.monitors.analysis import Analyser, AnalyserError, FileChange, Starting

logger = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = 0.25  # seconds
HANG = 10.0  # seconds without an answer after which an analyser is killed and started anew
_REMEMBERED = 1024  # answers
_WAITING = 24  # questions; older ones are dropped: their drafts have gone on
_FAILURES = 3  # in a row, and the analyser gets a rest
_REST = 30.0  # seconds
_TICK = 0.01  # seconds between two looks at the request's own clock


class Answer(Generic[T]):
    """`value` is None until it is `done`, and after that if there is none."""

    __slots__ = ("asked", "done", "value")

    def __init__(self) -> None:
        self.asked = time.monotonic()
        self.done = threading.Event()
        self.value: T | None = None

    def wait(self, poll: Callable[[], None], patience: float | None = None) -> bool:
        """Whether it is done, at the latest `patience` seconds (`PATIENCE`) after it was asked.

        `poll` may raise, to end the wait.
        """
        until = self.asked + (PATIENCE if patience is None else patience)
        while not self.done.is_set():
            left = until - time.monotonic()
            if left <= 0:
                return False
            poll()
            self.done.wait(min(left, _TICK))
        return True


@dataclass(slots=True)
class _Asked(Generic[T]):
    key: Hashable
    run: Callable[[Analyser], T]
    answer: Answer[T]


@dataclass(slots=True)
class _Health:
    """Of one analyser."""

    failures: int = 0
    rests_until: float = 0.0
    told: set[str] = field(default_factory=set)


class Broker:
    """Of one analyser. Any thread may ask; `report` hears, on the broker's, what users should."""

    def __init__(self, analyser: Analyser, report: Callable[[str], None]) -> None:
        self._analyser = analyser
        self._report = report
        self._lock = threading.Condition()
        self._answers: OrderedDict[Hashable, Answer[object]] = OrderedDict()
        self._asked: list[_Asked[object]] = []
        self._changes: list[FileChange] = []
        self._health = _Health()
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def analyser(self) -> str:
        return self._analyser.name

    def ask(self, key: Hashable, run: Callable[[Analyser], T]) -> Answer[T]:
        """The answer to `run`, perhaps in future; it stays the same for equal keys."""
        with self._lock:
            known = self._answers.get(key)
            if known is not None:
                self._answers.move_to_end(key)
                return known  # type: ignore[return-value]  # a key stands for one question
            answer: Answer[T] = Answer()
            if self._closed or time.monotonic() < self._health.rests_until:
                answer.done.set()
                return answer
            self._answers[key] = answer  # type: ignore[assignment]
            self._asked.append(_Asked(key, run, answer))  # type: ignore[arg-type]
            self._drop_old()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name=f"analyser {self.analyser}", daemon=True
                )
                self._thread.start()
            self._lock.notify()
            return answer

    def files_changed(self, changes: Sequence[FileChange]) -> None:
        """What was answered before may be wrong now; the analyser hears of it before it is asked
        again."""
        with self._lock:
            waiting = {asked.key for asked in self._asked}
            kept = [each for each in self._answers.items() if each[0] in waiting]
            self._answers = OrderedDict(kept)
            self._changes += changes

    def close(self) -> None:
        """End the analyser; who waits gets no answer. Idempotent."""
        with self._lock:
            self._closed = True
            for asked in self._asked:
                asked.answer.done.set()
            self._asked.clear()
            self._lock.notify()
        self._analyser.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(HANG)

    def _drop_old(self) -> None:
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        while len(self._asked) > _WAITING:
            dropped = self._asked.pop(0)
            self._answers.pop(dropped.key, None)
            dropped.answer.done.set()

    def _work(self) -> None:
        while True:
            with self._lock:
                while not self._asked and not self._closed:
                    self._lock.wait()
                if self._closed:
                    return
                asked = self._asked.pop()
                changes, self._changes = self._changes, []
            if changes:
                self._tell(changes)
            self._answer(asked)

    def _tell(self, changes: Sequence[FileChange]) -> None:
        try:
            self._analyser.files_changed(changes)
        except AnalyserError as error:  # it has ended: a new one reads the files as they are
            logger.info("%s", error)

    def _answer(self, asked: _Asked[object]) -> None:
        try:
            asked.answer.value = asked.run(self._analyser)
            self._health.failures = 0
        except Starting:
            self._forget(asked.key)
        except AnalyserError as error:
            self._forget(asked.key)
            self._failed(str(error))
        except Exception as error:  # an analyser's slip must not end the thread
            logger.warning("%s failed", self.analyser, exc_info=error)
            self._forget(asked.key)
            self._failed(f"{self.analyser} failed ({type(error).__name__}: {error})")
        finally:
            asked.answer.done.set()

    def _forget(self, key: Hashable) -> None:
        """There was no answer: it may be asked for again."""
        with self._lock:
            self._answers.pop(key, None)

    def _failed(self, message: str) -> None:
        health = self._health
        health.failures += 1
        with self._lock:
            if self._closed:
                return
            if health.failures >= _FAILURES:
                health.failures = 0
                health.rests_until = time.monotonic() + _REST
                for asked in self._asked:
                    self._answers.pop(asked.key, None)
                    asked.answer.done.set()
                self._asked.clear()
        if message not in health.told:
            health.told.add(message)
            self._report(f"{message} Drafts come without its checks until it answers again.")
