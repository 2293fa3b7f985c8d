"""Strings that have to be one of a few: keys of dictionaries that are known, literal arguments.

Behind `movie["`, `open_it("` or `mode == "`, where the analyser lists what the string may be (the
keys of a `TypedDict` or of a dictionary that is written out, the values of a `Literal`), other
strings lose some log-probability. Dictionaries grow, so nothing is impossible, and a subscript
that begins a statement, an assignment most likely, is left alone. Python only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from polydraft.completion.monitor import FREE, Constraint, Likely
from polydraft.monitors.analysis import Names
from polydraft.monitors.broker import HANG, Answer
from polydraft.monitors.context import Context
from polydraft.monitors.spot import Spot
from polydraft.monitors.strictness import constraint_of

_SUBSCRIPT = re.compile(r"(?P<receiver>[\w.]*[\w\])])\[\s*\Z")
_ARGUMENT = re.compile(r"[\w\])]\((?:[^()\n]*,)?\s*(?:\w+\s*=\s*)?\Z|[=!]=\s*\Z")
_SURE = 2  # times the penalty: of a key, a model is surer than of a name
_MOST = 200  # strings; more of them are no choice


@dataclass(frozen=True, slots=True)
class StringKeys:
    """The rule over one request's page."""

    context: Context
    name: str = "strings"

    def foresee(self, spot: Spot) -> None:
        place = _place(spot)
        if place is not None:
            self._ask(spot, place)

    def constrain(self, spot: Spot, likely: Likely) -> Constraint:
        place = _place(spot)
        if place is None or spot.partial:
            return FREE
        return self.context.if_known(
            self._ask(spot, place), lambda names: self._masks(place, names)
        )

    def _masks(self, place: _Place, found: Names) -> Constraint:
        begin = self.context.page.grammar.name_at_start
        # What is behind a name's end in a string, say a hyphen, is not looked at.
        listed = frozenset(begin(name.text) for name in found.names)
        if not listed or "" in listed or len(listed) > _MOST:
            return FREE
        names = listed | self._on_page(place)
        strictness = self.context.strictness
        return constraint_of(
            found.grade,
            replace(strictness, penalty=_SURE * strictness.penalty),
            True,  # there may be more
            lambda allowed: self.context.tokens(allowed, place.typed.encode()),
            names,
            names,
            self.context.evidence(self.name, found.grade.value, len(found.names)),
        )

    def _on_page(self, place: _Place) -> frozenset[str]:
        """The keys that the page itself has there."""
        if not place.receiver or not self.context.strictness.of_file:
            return frozenset()
        return self.context.page.keys_of(place.receiver)

    def _ask(self, spot: Spot, place: _Place) -> Answer[Names]:
        draft = spot.draft[: len(spot.draft) - len(place.typed)]
        key = ("strings", *self.context.page.fingerprint, self.context.page.line, draft)
        cut = len(place.typed)
        return self.context.ask(key, lambda analyser: analyser.names(spot.question(cut), HANG))


@dataclass(frozen=True, slots=True)
class _Place:
    """`typed` is what stands there of the string, `receiver` what a subscript is taken of."""

    typed: str
    receiver: str


def _place(spot: Spot) -> _Place | None:
    before, quote, typed = spot.head.rpartition(spot.inside)
    if not quote or (typed and not typed.isidentifier()):
        return None
    line = before[before.rfind("\n") + 1 :]
    subscript = _SUBSCRIPT.search(line)
    if subscript is not None:
        begins_statement = not line[: subscript.start()].strip()
        return None if begins_statement else _Place(typed, subscript["receiver"])
    return _Place(typed, "") if _ARGUMENT.search(line) else None
