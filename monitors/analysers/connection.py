"""Requests to a language server and its answers; what it asks itself is answered on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from polydraft.monitors.analysers.child import Child
from polydraft.monitors.analysers.framing import framed
from polydraft.monitors.analysis import AnalyserError

Answers = Mapping[str, Callable[[Any], object]]
"""A server's own requests by method: what is answered to their parameters."""


class Refused(Exception):
    """The server answered with an error; the text is its own."""


class Connection:
    """One thread at a time asks. `hear` gets the server's notifications as (method, parameters)."""

    def __init__(
        self, child: Child[dict[str, Any]], answers: Answers, hear: Callable[[str, Any], None]
    ) -> None:
        self._child = child
        self._answers = answers
        self._hear = hear
        self._last_id = 0

    def notify(self, method: str, parameters: object) -> None:
        self._send({"method": method, "params": parameters})

    def begin(self, method: str, parameters: object) -> int:
        """Send a request -> its id."""
        self._last_id += 1
        self._send({"id": self._last_id, "method": method, "params": parameters})
        return self._last_id

    def request(self, method: str, parameters: object, until: float) -> Any:
        """The result; raises `Refused`, `TimeoutError` at `until` (of `time.monotonic`), or
        `AnalyserError` if the server has ended or talks nonsense."""
        return self.result(self.begin(method, parameters), until)

    def result(self, number: int, until: float) -> Any:
        """As `request`, for one that was begun. Answers to older requests are dropped."""
        while True:
            message = self._child.receive(until)
            if "method" in message:
                self._serve(message)
            elif message.get("id") == number:
                return _result(message)

    def listen(self, until: float, enough: Callable[[], bool]) -> None:
        """Hear what the server says until it is enough, or time is up."""
        while not enough() and time.monotonic() < until:
            try:
                message = self._child.receive(until)
            except TimeoutError:
                return
            if "method" in message:
                self._serve(message)

    def _serve(self, message: dict[str, Any]) -> None:
        method, parameters = str(message["method"]), message.get("params")
        if "id" not in message:
            self._hear(method, parameters)
            return
        answer = self._answers.get(method)
        self._send({"id": message["id"], "result": answer(parameters) if answer else None})

    def _send(self, message: dict[str, object]) -> None:
        self._child.send(framed({"jsonrpc": "2.0", **message}))


def _result(message: dict[str, Any]) -> Any:
    error = message.get("error")
    if error is None:
        return message.get("result")
    if not isinstance(error, dict):
        raise AnalyserError("A language server answers nonsense.")
    raise Refused(str(error.get("message", error)))
