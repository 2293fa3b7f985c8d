"""Who says what exists behind a point's operator, and what is wrong with a completed file.

Judges stand outside of the time that is measured, and have no deadline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from benchmarks.dereferences import Point
from polydraft.monitors.analysers.catalogue import create
from polydraft.monitors.analysers.ready import once_ready
from polydraft.monitors.analysis import (
    Analyser,
    AnalyserSettings,
    Buffer,
    Problem,
    Question,
)

_PATIENCE_S = 30.0
_LONGEST = 5000  # a longer list says nothing of the receiver


class Judge(Protocol):
    def names(self, point: Point) -> frozenset[str]:
        """What stands behind the operator; empty where the judge does not know."""

    def problems(self, buffer: Buffer) -> tuple[Problem, ...] | None:
        """None: it never says."""

    def close(self) -> None: ...


JudgeMaker = Callable[[AnalyserSettings], Judge]


def judges() -> dict[str, JudgeMaker]:
    """Language -> its judge."""
    return {"python": PythonJudge, "typescript": _of("typescript"), "cpp": _of("clangd")}


def _of(name: str) -> JudgeMaker:
    return lambda settings: FromAnalyser(create(name, settings), settings)


def known(names: frozenset[str]) -> frozenset[str]:
    """No names, dunders alone, or names without number say nothing of the receiver."""
    telling = any(not name.startswith("__") for name in names)
    return names if telling and len(names) <= _LONGEST else frozenset()


def new_problems(
    judge: Judge, point: Point, settings: AnalyserSettings, text: str
) -> list[str] | None:
    """What the judge complains of with the draft and not with the truth: places do not count."""
    path = str(Path(settings.root) / point.path)
    found = []
    for filling in (text, point.truth):
        problems = judge.problems(Buffer(path, point.language, point.filled(filling)))
        if problems is None:
            return None
        found.append(Counter(f"{problem.code}: {problem.message}" for problem in problems))
    return sorted((found[0] - found[1]).elements())


class Remembering:
    """A judge that is asked nothing twice at one point: variants often write the same."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._point: str | None = None
        self._names: frozenset[str] = frozenset()
        self._problems: dict[Buffer, tuple[Problem, ...] | None] = {}

    def names(self, point: Point) -> frozenset[str]:
        if point.name != self._point:
            self._point, self._names, self._problems = point.name, self._judge.names(point), {}
        return self._names

    def problems(self, buffer: Buffer) -> tuple[Problem, ...] | None:
        if buffer not in self._problems:
            self._problems[buffer] = self._judge.problems(buffer)
        return self._problems[buffer]

    def close(self) -> None:
        self._judge.close()


class FromAnalyser:
    """An analyser as a judge."""

    def __init__(self, analyser: Analyser, settings: AnalyserSettings) -> None:
        self._analyser = analyser
        self._root = Path(settings.root)

    def names(self, point: Point) -> frozenset[str]:
        buffer = Buffer(str(self._root / point.path), point.language, point.filled(""))
        question = Question(buffer, len(point.prefix))
        found = once_ready(lambda: self._analyser.names(question, _PATIENCE_S))
        return known(frozenset(name.text for name in found.names))

    def problems(self, buffer: Buffer) -> tuple[Problem, ...]:
        return once_ready(lambda: self._analyser.problems(Question(buffer, 0), _PATIENCE_S))

    def close(self) -> None:
        self._analyser.close()


class PythonJudge:
    """jedi says in this process what exists, and ty what is wrong with a file."""

    def __init__(self, settings: AnalyserSettings) -> None:
        import jedi

        self._jedi = jedi
        self._errors = FromAnalyser(create("ty", settings), settings)
        self._root = Path(settings.root)
        self._environment = jedi.create_environment(settings.python, safe=False)
        self._project = jedi.Project(settings.root, environment_path=settings.python)

    def names(self, point: Point) -> frozenset[str]:
        script = self._jedi.Script(
            point.filled(""),
            path=self._root / point.path,
            project=self._project,
            environment=self._environment,
        )
        line, _, column = point.prefix.rpartition("\n")
        try:
            found = script.complete(line.count("\n") + 2, len(column))
        except Exception:  # jedi fails in many ways on real code
            return frozenset()
        return known(frozenset(name.name for name in found))

    def problems(self, buffer: Buffer) -> tuple[Problem, ...]:
        return self._errors.problems(buffer)

    def close(self) -> None:
        self._errors.close()
