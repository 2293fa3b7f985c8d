"""What `polydraft doctor` has found: facts, problems, and what to do about them."""

from __future__ import annotations

from dataclasses import dataclass, field

from polydraft.lsp_server.report import Json


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, what to do about it, and whether completion is impossible because of it."""

    what: str
    do: str
    fatal: bool = False


@dataclass(slots=True)
class Diagnosis:
    """Facts by section, as JSON values, and the problems."""

    facts: dict[str, Json] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        return not any(problem.fatal for problem in self.problems)

    def add(self, what: str, do: str, *, fatal: bool = False) -> None:
        self.problems.append(Problem(what, do, fatal))
