"""Names of types that there are, where a type is expected.

In Python that is an annotation (also a part of one: `dict[str, |`), a base class, what `except`
catches and what `isinstance` tests for. A name loses some log-probability there if the analyser
knows it as a function, or if neither it nor the page knows it at all. Nothing is impossible: types
are also made at run time.
"""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass

from polydraft.completion.monitor import FREE, Constraint, Likely
from polydraft.monitors.analysis import Kind, Names
from polydraft.monitors.broker import HANG, Answer
from polydraft.monitors.context import Context
from polydraft.monitors.spot import Spot
from polydraft.monitors.strictness import constraint_of

_LISTED = r"(?:[\w.]+\s*,\s*)*\Z"  # types before, in a list of them
_EXPECTS = re.compile(
    rf"^\s*except\*?\s*\(?\s*{_LISTED}"
    rf"|^\s*class\s+\w+\(\s*{_LISTED}"
    rf"|\b(?:isinstance|issubclass)\(\s*[\w.]+\s*,\s*\(?\s*{_LISTED}"
)
_ANNOTATES = re.compile(r"(?:->|:)(?P<part>[\w.\[\], |]*)\Z")
_VARIABLE = re.compile(r"\s*(?:self\.)?(\w+)\s*\Z")
_PARAMETER = re.compile(r"(?:[(,]|\A)\s*\*{0,2}\w+\s*\Z")
_DEFINES = re.compile(r"\bdef\s+\w+\s*\((?:[^()]|\([^()]*\))*\Z")
_BEFORE = ("(", "[", ",", ":", "->", "|")  # what a type stands behind, but for `except`
_NO_TYPES = ("Annotated[", "Literal[")  # that all their arguments are
_TYPED = re.compile(r"\w*\Z")
_ALWAYS = frozenset(name for name in dir(builtins) if isinstance(getattr(builtins, name), type))
_ALWAYS |= {"None", "self", "cls"}


@dataclass(frozen=True, slots=True)
class TypeNames:
    """The rule over one request's page."""

    context: Context
    name: str = "types"

    def foresee(self, spot: Spot) -> None:
        typed = _typed(spot)
        if typed is not None:
            self._ask(spot, typed)

    def constrain(self, spot: Spot, likely: Likely) -> Constraint:
        typed = _typed(spot)
        if typed is None or spot.partial:
            return FREE
        return self.context.if_known(
            self._ask(spot, typed), lambda names: self._masks(spot, typed, names)
        )

    def _masks(self, spot: Spot, typed: str, found: Names) -> Constraint:
        types = {
            name.text for name in found.names if name.kind not in (Kind.FUNCTION, Kind.ARGUMENT)
        }
        if not types:
            return FREE
        functions = {name.text for name in found.names if name.kind is Kind.FUNCTION}
        made = spot.page.grammar.name.findall(spot.draft[: len(spot.draft) - len(typed)])
        page = self.context.page.identifiers.union(made) - functions - set(keyword.kwlist)
        known = page | types | _ALWAYS
        tight = spot.head.endswith(("(", "[", " "))  # else a space comes first
        return constraint_of(
            found.grade,
            self.context.strictness,
            True,  # there may be more
            lambda names: self.context.beginning(names, typed.encode(), attached=tight),
            known,
            known,
            self.context.evidence(self.name, found.grade.value, len(found.names)),
            banned=not typed,
        )

    def _ask(self, spot: Spot, typed: str) -> Answer[Names]:
        key = ("types", *self.context.page.fingerprint)
        # In a list the same names are in scope; ty knows none in an annotation that is empty.
        cut = len(typed)
        return self.context.ask(key, lambda analyser: analyser.names(spot.question(cut, "["), HANG))


def _typed(spot: Spot) -> str | None:
    """What stands there of a type's name; None where none is expected."""
    found = _TYPED.search(spot.head)
    typed = found.group() if found else ""
    before = spot.head[: len(spot.head) - len(typed)]
    line = before[before.rfind("\n") + 1 :]
    if typed[:1].isdigit() or not (line.rstrip().endswith(_BEFORE) or "except" in line):
        return None
    return typed if _EXPECTS.search(line) or _is_annotation(spot, before, line) else None


def _is_annotation(spot: Spot, before: str, line: str) -> bool:
    found = _ANNOTATES.search(line)
    if found is None:
        return False
    part = found["part"].strip()
    if part and (not part.endswith(("[", ",", "|")) or any(each in part for each in _NO_TYPES)):
        return False
    depth = part.count("[") - part.count("]")
    if depth < 0 or (part.endswith(",") and depth == 0):
        return False
    told = line[: found.start()]
    if line[found.start()] == "-":
        return told.rstrip().endswith(")") and spot.depth == depth
    variable = _VARIABLE.fullmatch(told)
    if variable is not None and spot.depth == depth:
        return not keyword.iskeyword(variable.group(1))
    signature = before[: len(before) - len(line) + len(told)]
    return _PARAMETER.search(told) is not None and _DEFINES.search(signature) is not None
