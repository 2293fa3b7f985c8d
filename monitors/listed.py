"""How much open lists of names are worth in a workspace, by what its user writes.

Where names were listed openly (`analysis.Grade`), the user then writes one, of the list or not. The
others lose the log-odds of that. It begins at a penalty p, as if e^p names had been of the
list and one not:

    penalty = ln((listed + e^p) / (unlisted + 1))

So in a workspace that makes up attributes at run time a new name soon costs less.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from polydraft.monitors.grammar import Grammar

_LEAST, _MOST = 1.0, 8.0  # nats


@dataclass(slots=True)
class Listed:
    """Of one workspace and analyser."""

    listed: int = 0
    unlisted: int = 0

    def learn(self, was_listed: bool) -> None:
        self.listed += was_listed
        self.unlisted += not was_listed

    def penalty(self, prior: float) -> float:
        """Nats, from the penalty that holds where nothing has been seen."""
        if math.isinf(prior):
            return prior
        odds = (self.listed + math.exp(prior)) / (self.unlisted + 1)
        return min(max(math.log(odds), _LEAST), _MOST)


@dataclass(frozen=True, slots=True)
class Typed:
    """An operator that was typed at the end of `prefix`, and what was asked there.

    `is_listed` says it of a name; None where the answer has nothing to teach.
    """

    prefix: str
    grammar: Grammar
    is_listed: Callable[[str], bool | None]

    def outcome(self, text: str) -> bool | None:
        """Whether the name that `text`, the document up to the cursor, has there was listed; None
        if it has none, or goes on with it."""
        if not text.startswith(self.prefix):
            return None
        rest = text[len(self.prefix) :]
        name = self.grammar.name_at_start(rest)
        return self.is_listed(name) if name and name != rest else None
