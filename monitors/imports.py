"""Modules that there are, and what they hold: Python's `import a.b` and `from a.b import c, d`.

closed    a name that the module does not hold, and nobody imports from it on the page, is
          impossible
open      such a name loses some log-probability
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from polydraft.completion.monitor import FREE, Constraint, Likely
from polydraft.monitors.analysis import Names
from polydraft.monitors.broker import HANG, Answer
from polydraft.monitors.context import Context
from polydraft.monitors.spot import Page, Spot
from polydraft.monitors.strictness import constraint_of

_MODULE = re.compile(r"(?:^|\n)[ \t]*(?P<how>import|from)[ \t]+(?P<path>(?:\.|\w+\.)*)\Z")
_MEMBER = re.compile(
    r"(?:^|\n)[ \t]*from[ \t]+(?P<path>[.\w]+)[ \t]+import(?:[ \t]+|[ \t]*\(\s*)"
    r"(?:(?:\w+(?:\s+as\s+\w+)?\s*,\s*)*)\Z"
)
_TYPED = re.compile(r"\w*\Z")
_GAP = " "


@dataclass(frozen=True, slots=True)
class Imports:
    """The rule over one request's page."""

    context: Context
    name: str = "imports"

    def foresee(self, spot: Spot) -> None:
        place = _place(spot)
        if place is not None:
            self._ask(spot, place)

    def constrain(self, spot: Spot, likely: Likely) -> Constraint:
        place = _place(spot)
        if place is None:
            return FREE
        return self.context.once_known(
            self._ask(spot, place), lambda names: self._masks(spot, place, names)
        )

    def _masks(self, spot: Spot, place: _Place, found: Names) -> Constraint:
        names = frozenset(name.text for name in found.names)
        if self.context.strictness.of_file and names:
            names |= _imported(self.context.page, place.path)
        evidence = self.context.evidence(self.name, found.grade.value, len(found.names))
        typed = place.typed.encode() + spot.partial
        return constraint_of(
            found.grade,
            self.context.strictness,
            False,
            lambda names: self.context.beginning(names, typed, attached=not place.gap),
            names,
            names,
            evidence,
            banned=not typed,
        )

    def _ask(self, spot: Spot, place: _Place) -> Answer[Names]:
        # What a module holds depends on no line of the page, but on the other documents.
        key = ("imports", self.context.page.path, self.context.page.others_fingerprint, place.path)
        cut, gap = len(place.typed), _GAP if place.gap else ""
        return self.context.ask(key, lambda analyser: analyser.names(spot.question(cut, gap), HANG))


@dataclass(frozen=True, slots=True)
class _Place:
    """`path` is what is imported from, with a space behind it where names of the module follow;
    `typed` what stands there of the name. With `gap`, a space is still missing before it.
    """

    path: str
    typed: str
    gap: bool = False


def _place(spot: Spot) -> _Place | None:
    head = spot.head
    # An import begins on this line, or before the one parenthesis that is open.
    begin = head.rfind("\n", 0, head.rfind("(") if spot.bracketed else None) + 1
    head = head[begin:]
    if not head.lstrip().startswith(("import", "from")):
        return None
    found = _TYPED.search(head)
    typed = found.group() if found else ""
    before = head[: len(head) - len(typed)]
    path = _path(before)
    if path is not None:
        return _Place(path, typed)
    if head.endswith(("import", "from")):
        path = _path(head + _GAP)
        return None if path is None else _Place(path, "", gap=True)
    return None


def _path(before: str) -> str | None:
    member = _MEMBER.search(before)
    if member is not None:
        return f"{member['path']} "
    module = _MODULE.search(before)
    return f"{module['how']} {module['path']}" if module is not None else None


def _imported(page: Page, path: str) -> frozenset[str]:
    """What the page imports from a module elsewhere."""
    if not path.endswith(" "):
        return frozenset()
    pattern = rf"from\s+{re.escape(path.strip())}\s+import\s*(?:\(([^()]*)\)|([^()\n]*))"
    lists = re.findall(pattern, page.after)
    return frozenset(name for found in lists for name in re.findall(r"\w+", " ".join(found)))
