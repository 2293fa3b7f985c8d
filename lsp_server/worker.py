"""The engine's own thread: one job at a time, the newest of each document, idle work last.

A model on a laptop cannot usefully serve two requests at once, so all clients of a process share
one thread. A job ends with its future: whoever resolves or cancels the future sets the job's
cancel token, which frees the thread at the engine's next step, and waiters are answered at once.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any, TypeVar

from polydraft.completion.types import Cancelled, CancelToken

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    run: Callable[[CancelToken], Any]
    idle: bool
    future: Future[Any] = field(default_factory=Future)
    cancel: CancelToken = field(default_factory=CancelToken)


class Worker:
    """A thread that runs jobs; `key` names what they are for, e.g. (session, document)."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: OrderedDict[Hashable, _Job] = OrderedDict()
        self._idle: OrderedDict[Hashable, _Job] = OrderedDict()
        self._running: tuple[Hashable, _Job] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="polydraft-engine", daemon=True)
        self._thread.start()

    def submit(self, key: Hashable, run: Callable[[CancelToken], T]) -> Future[T]:
        """Run a job as soon as its turn comes.

        An older job of the same key that waits or runs ends with `Cancelled`; the new one takes
        the waiting one's turn. Idle work gives way. Cancelling the future cancels the job.
        """
        return self._add(key, _Job(run, idle=False), self._waiting)

    def when_idle(self, key: Hashable, run: Callable[[CancelToken], T]) -> Future[T]:
        """Run a job when no other waits; any submitted job drops it or cuts it short."""
        return self._add(key, _Job(run, idle=True), self._idle)

    @property
    def waiting(self) -> int:
        """Jobs that wait for their turn, idle work not counted."""
        return len(self._waiting)

    def cancel(self, key: Hashable) -> None:
        """End all jobs of a key with `Cancelled`."""
        with self._changed:
            ended = [self._waiting.pop(key, None), self._idle.pop(key, None)]
            if self._running is not None and self._running[0] == key:
                ended.append(self._running[1])
        _end(ended)

    def close(self) -> None:
        """End all jobs and wait until the thread has stopped."""
        with self._changed:
            self._closed = True
            ended = [*self._waiting.values(), *self._idle.values()]
            if self._running is not None:
                ended.append(self._running[1])
            self._waiting.clear()
            self._idle.clear()
            self._changed.notify()
        _end(ended)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _add(self, key: Hashable, job: _Job, queue: OrderedDict[Hashable, _Job]) -> Future[Any]:
        job.future.add_done_callback(lambda _: job.cancel.cancel())
        ended: list[_Job | None] = []
        with self._changed:
            if self._closed:
                ended.append(job)
            else:
                ended.append(queue.get(key))
                queue[key] = job  # in the place of an older one, else last
                if self._running is not None and not job.idle:
                    running_key, running = self._running
                    if running.idle or running_key == key:
                        ended.append(running)
                if not job.idle:
                    ended.append(self._idle.pop(key, None))
                self._changed.notify()
        _end(ended)
        return job.future

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            self._run(job)

    def _next(self) -> _Job | None:
        with self._changed:
            self._running = None
            while True:
                for queue in (self._waiting, self._idle):
                    while queue:
                        key, job = queue.popitem(last=False)
                        if not job.future.done():
                            self._running = (key, job)
                            return job
                if self._closed:
                    return None
                self._changed.wait()

    def _run(self, job: _Job) -> None:
        try:
            result = job.run(job.cancel)
        except Cancelled as error:
            _resolve(job.future, error=error)
        except Exception as error:
            logger.debug("a job of the engine failed", exc_info=True)
            _resolve(job.future, error=error)
        else:
            _resolve(job.future, result=result)


def _end(jobs: Sequence[_Job | None]) -> None:
    """Outside the lock, since resolving a future calls whoever waits for it."""
    for job in jobs:
        if job is not None:
            _resolve(job.future, error=Cancelled())


def _resolve(future: Future[Any], *, result: Any = None, error: Exception | None = None) -> None:
    try:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
    except InvalidStateError:
        pass  # whoever wanted the result has left
