"""One request's meter: counts forward passes and says when to stop."""

from __future__ import annotations

from polydraft.completion.types import Cancelled, CancelToken, Deadline


class OutOfTime(Exception):
    """The request's deadline passed; what is drafted so far is what there is."""


class Meter:
    """Polled before every forward pass, so that a cancelled request ends within one step."""

    def __init__(self, cancel: CancelToken | None = None, deadline: Deadline | None = None) -> None:
        self.passes = 0
        self._cancel = cancel or CancelToken()
        self._deadline = deadline or Deadline()

    def beside(self) -> Meter:
        """A meter of the same request for work on another thread, with a count of its own."""
        return Meter(self._cancel, self._deadline)

    def poll(self) -> None:
        """Raise `Cancelled` or `OutOfTime` if it is time to stop."""
        if self._cancel.cancelled:
            raise Cancelled(self.passes)
        if self._deadline.expired:
            raise OutOfTime

    def count_pass(self) -> None:
        """`poll`, then count the forward pass that is about to run."""
        self.poll()
        self.passes += 1
