"""The members that there are: what may stand behind `receiver.`, `->` and `::`.

Monitor-guided decoding's own case (Agrawal et al., arXiv 2306.10763, section 3), made fit for
languages in which members come and go. Of an answer in grades,

    closed    names that neither the analyser nor the file knows as members are impossible, and
              those that the file has as members of something else lose some log-probability
    open      all that the analyser does not list and the file does not have there lose some

and where an assignment may make a member, an answer is open at most.

A plain hard mask lacks the true name at 8 to 10 % of real Python dereferences
(`docs/measurements.md`, "Monitors").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from polydraft.completion.monitor import FREE, Constraint, Evidence, Likely, together
from polydraft.monitors.analysis import Grade, Names
from polydraft.monitors.broker import HANG, Answer
from polydraft.monitors.context import Context
from polydraft.monitors.receiver import Receiver, receiver_before
from polydraft.monitors.spot import Spot
from polydraft.monitors.strictness import constraint_of

# C++, a line that is not indented: `bool Tree::`, what defines a member outside of its class.
_OUTSIDE = re.compile(r"[A-Za-z_][\w \t*&<>:,\[\]]*\Z")
_TARGETS = re.compile(r"\s*(?:[\w.]+\s*,\s*)*\Z")


@dataclass(frozen=True, slots=True)
class _Place:
    """`receiver` ends `behind` code points before the spot; `key` stands for what is asked."""

    receiver: Receiver
    operator: str
    behind: int
    defining: bool
    key: tuple[object, ...]


@dataclass(slots=True)
class Dereference:
    """The rule over one request's page."""

    context: Context
    name: str = "dereference"
    _sets: dict[tuple[object, ...], tuple[frozenset[str], frozenset[str]]] = field(
        default_factory=dict
    )

    def foresee(self, spot: Spot) -> None:
        """Ask behind an operator; and before one where the file has it behind the same name."""
        head = spot.head
        place = self._behind_operator(spot, head) or self._before_operator(spot, head)
        if place is not None and (place.behind or self._is_usual(place.receiver)):
            self._ask(spot, place)

    def constrain(self, spot: Spot, likely: Likely) -> Constraint:
        head = spot.head
        return together([self._in_name(spot, head), self._at_receiver(spot, head, likely)])

    def asked(self, spot: Spot) -> Callable[[str], bool | None] | None:
        """What was asked behind an operator: of a name, whether it was listed openly."""
        place = self._behind_operator(spot, spot.head)
        if place is None or place.defining:
            return None
        answer = self._ask(spot, place)

        def is_listed(name: str) -> bool | None:
            if answer.value is None or answer.value.grade is not Grade.OPEN:
                return None
            return name in self._names(spot, place, answer.value)[0]

        return is_listed

    # --- behind an operator: the name itself ---

    def _in_name(self, spot: Spot, head: str) -> Constraint:
        place = self._behind_operator(spot, head)
        if place is None:
            return FREE
        return self.context.once_known(
            self._ask(spot, place), lambda found: self._fitting(spot, place, head, found)
        )

    def _fitting(self, spot: Spot, place: _Place, head: str, found: Names) -> Constraint:
        """The tokens that go on with a name, or end it."""
        typed = self._typed(head)
        narrow, wide = self._names(spot, place, found)
        if spot.draft.endswith(typed) and len(typed) >= len(spot.draft):  # still the cursor's name
            narrow, wide = self._cut(narrow), self._cut(wide)
        spelled = typed.encode() + spot.partial
        return constraint_of(
            found.grade,
            self.context.strictness,
            place.defining,
            lambda names: self.context.tokens(names, spelled),
            narrow,
            wide,
            self._evidence(found),
        )

    def _behind_operator(self, spot: Spot, head: str) -> _Place | None:
        typed = self._typed(head)
        if typed[:1].isdigit():
            return None
        before = head[: len(head) - len(typed)]
        for operator in self.context.page.grammar.longest_first:
            if before.endswith(operator):
                receiver = receiver_before(before.removesuffix(operator), self.context.page.grammar)
                behind = len(operator) + len(typed)
                return self._place(spot, head, receiver, operator, behind)
        return None

    def _typed(self, head: str) -> str:
        return self.context.page.grammar.name_at_end(head)

    # --- before an operator: tokens that hold it and the beginning of a name ---

    def _at_receiver(self, spot: Spot, head: str, likely: Likely) -> Constraint:
        receiver = receiver_before(head, self.context.page.grammar)
        if receiver is None or spot.partial:
            return FREE
        operator = self.context.words.operator_of(likely())
        if operator is None:
            return FREE
        place = self._place(spot, head, receiver, operator, 0)
        if place is None:
            return FREE
        return self.context.once_known(
            self._ask(spot, place), lambda found: self._wrong(spot, place, found)
        )

    def _wrong(self, spot: Spot, place: _Place, found: Names) -> Constraint:
        """The tokens that hold the operator and begin no name behind it."""
        starts = self.context.words.behind(place.operator)
        return constraint_of(
            found.grade,
            self.context.strictness,
            place.defining,
            lambda names: starts.others(names, self.context.strictness.canonical),
            *self._names(spot, place, found),
            self._evidence(found),
            banned=True,
        )

    def _before_operator(self, spot: Spot, head: str) -> _Place | None:
        receiver = receiver_before(head, self.context.page.grammar)
        return self._place(spot, head, receiver, self.context.page.grammar.operators[0], 0)

    def _is_usual(self, receiver: Receiver) -> bool:
        """Whether the page has an operator behind the same path."""
        return bool(receiver.path) and bool(self.context.page.members_of(receiver.path))

    # --- what is asked, and what the answer allows ---

    def _place(
        self, spot: Spot, head: str, receiver: Receiver | None, operator: str, behind: int
    ) -> _Place | None:
        if receiver is None or self._is_import(head, receiver):
            return None
        line = head[head.rfind("\n", 0, receiver.start) + 1 : receiver.start]
        if operator == "::" and _OUTSIDE.match(line + receiver.text):
            return None  # a member is defined there, and servers list only those in sight
        grammar = self.context.page.grammar
        defining = grammar.open_classes and _TARGETS.match(line) is not None
        key = ("members", *self.context.page.fingerprint, receiver.text, operator)
        return _Place(receiver, operator, behind, defining, (*key, *_related(spot, head, receiver)))

    def _is_import(self, head: str, receiver: Receiver) -> bool:
        line = head[head.rfind("\n", 0, receiver.start) + 1 :].lstrip()
        return self.context.page.language == "python" and line.startswith(("import ", "from "))

    def _ask(self, spot: Spot, place: _Place) -> Answer[Names]:
        typed = max(0, place.behind - len(place.operator))
        missing = "" if place.behind else place.operator
        return self.context.ask(
            place.key, lambda analyser: analyser.names(spot.question(typed, missing), HANG)
        )

    def _names(
        self, spot: Spot, place: _Place, answer: Names
    ) -> tuple[frozenset[str], frozenset[str]]:
        """What the analyser lists or the file has there; and all that is a member in the file."""
        known = self._sets.get(place.key)
        if known is None:
            listed = narrow = frozenset(name.text for name in answer.names)
            if self.context.strictness.of_file:
                narrow = self._usual(place, listed)
            if self.context.strictness.of_file and place.receiver.path:
                narrow |= self.context.page.members_of(place.receiver.path)
                narrow |= spot.members_of(place.receiver.path, place.behind)
            known = self._sets[place.key] = (narrow, narrow | listed | self.context.page.members)
        return known

    def _usual(self, place: _Place, names: frozenset[str]) -> frozenset[str]:
        """Without what every object has and hardly anybody writes: Python's special methods."""
        if self.context.page.language != "python" or place.receiver.text.endswith("super()"):
            return names
        return frozenset(name for name in names if not name.startswith("__"))

    def _cut(self, names: frozenset[str]) -> frozenset[str]:
        """Names whose end stands behind the cursor already, beside the whole ones."""
        cut = self.context.page.cut_name
        if not cut:
            return names
        return names | {name.removesuffix(cut) for name in names if name.endswith(cut)}

    def _evidence(self, answer: Names) -> Evidence:
        return self.context.evidence(self.name, answer.grade.value, len(answer.names))


def _related(spot: Spot, head: str, receiver: Receiver) -> tuple[str, ...]:
    """What of the cursor's line and of the draft may say what the receiver is.

    That is where its first name is given a value, and where a scope begins; everything, if it has
    none.
    """
    begin = len(spot.page.line) + len(spot.draft)
    near = head[max(0, len(head) - begin) : receiver.start]
    if not receiver.root:
        return (near,)
    binds = spot.page.grammar.binding(receiver.root)
    return tuple(line for line in near.split("\n") if binds.search(line))
