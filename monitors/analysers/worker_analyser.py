"""An analyser that is a worker process of ours: a question a line, an answer a line, in JSON.

What is said between the two stands in `jedi_worker.py`. A worker knows no problems.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import IO, Any

from polydraft.monitors.analysers.child import Child
from polydraft.monitors.analysers.restarted import Restarted
from polydraft.monitors.analysis import (
    AnalyserError,
    FileChange,
    Grade,
    How,
    Kind,
    Name,
    Names,
    Parameter,
    Problem,
    Question,
    Signature,
    Starting,
)

_STARTS = 60.0  # seconds that the process may take to answer for the first time
_MEMORY = 1_500_000_000  # bytes above which it is started anew


class WorkerAnalyser:
    """Implements `analysis.Analyser` over a program that asks and answers like that."""

    def __init__(self, name: str, languages: Iterable[str], command: Sequence[str]) -> None:
        self.name = name
        self.languages = frozenset(languages)
        self._command = tuple(command)
        self._process = Restarted(name, self._started)
        self._ready_by: float | None = None  # None: it has answered
        self._owed = 0  # answers that nobody waits for any more

    def names(self, question: Question, timeout: float) -> Names:
        answer = self._ask("names", question, timeout)
        names = tuple(Name(text, Kind(kind)) for text, kind in answer["names"])
        return Names(names, Grade(answer["grade"]))

    def signatures(self, question: Question, timeout: float) -> tuple[Signature, ...]:
        answer = self._ask("signatures", question, timeout)
        return tuple(
            Signature(tuple(Parameter(name, How(how), required) for name, how, required in each))
            for each in answer["signatures"]
        )

    def problems(self, question: Question, timeout: float) -> tuple[Problem, ...]:
        return ()

    def files_changed(self, changes: Sequence[FileChange]) -> None:
        """The workers read files as they are."""

    def close(self) -> None:
        self._process.close()

    def _ask(self, task: str, question: Question, timeout: float) -> dict[str, Any]:
        child = self._process.get()
        until = time.monotonic() + timeout
        try:
            child.send(_spelled(task, question))
            self._owed += 1
            answer = self._receive(child, until)
        except TimeoutError:
            if self._ready_by is not None and time.monotonic() < self._ready_by:
                raise Starting(f"{self.name} is still starting.") from None
            self._process.end(child)
            raise AnalyserError(f"{self.name} did not answer within {timeout:g} s.") from None
        except AnalyserError:
            self._process.end(child)
            raise
        if child.memory() > _MEMORY:
            self._process.end(child)
        if "error" in answer:
            return {"names": [], "grade": Grade.UNKNOWN, "signatures": []}
        return answer

    def _receive(self, child: Child[dict[str, Any]], until: float) -> dict[str, Any]:
        while True:
            answer = child.receive(until)
            self._ready_by = None
            self._owed -= 1
            if self._owed == 0:
                return answer

    def _started(self) -> Child[dict[str, Any]]:
        self._ready_by = time.monotonic() + _STARTS
        self._owed = 0
        return Child(self.name, self._command, _next)


def _next(output: IO[bytes]) -> dict[str, Any] | None:
    line = output.readline()
    if not line:
        return None
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("an answer is no object")
    return message


def _spelled(task: str, question: Question) -> bytes:
    text, offset = question.buffer.text, question.offset
    message = {
        "task": task,
        "path": question.buffer.path,
        "language": question.buffer.language,
        "text": text,
        "line": text.count("\n", 0, offset) + 1,
        "column": offset - (text.rfind("\n", 0, offset) + 1),
        "others": [(other.path, other.text) for other in question.others if other.path],
    }
    return json.dumps(message).encode() + b"\n"
