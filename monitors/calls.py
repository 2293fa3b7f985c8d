"""Arguments that a call takes: names that exist, and no closing bracket while one is missing.

Where the analyser knows one signature of what is called:

    `name=`   loses some log-probability if no parameter has that name and no `**` takes it
    `)`       loses some while a parameter without a default has no argument, and no `*` or `**`
              in the call may bring it

Python only. Signatures are seldom known for certain (decorators, generated initialisers), so
nothing is impossible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from polydraft.completion.monitor import FREE, Constraint, Evidence, Likely, Mask
from polydraft.monitors.analysis import How, Signature
from polydraft.monitors.broker import HANG, Answer, Broker
from polydraft.monitors.open_call import OpenCall, open_call
from polydraft.monitors.spot import Page, Spot
from polydraft.monitors.strictness import Strictness
from polydraft.monitors.vocabulary import ASSIGNS, CLOSES, Words

_BY_PLACE = (How.POSITIONAL, How.EITHER)


@dataclass(frozen=True, slots=True)
class Calls:
    """The rule over one request's page."""

    page: Page
    broker: Broker
    words: Words
    strictness: Strictness
    poll: Callable[[], None]
    name: str = "calls"

    def foresee(self, spot: Spot) -> None:
        """Ask as soon as a call has begun."""
        if spot.head.endswith("(") and (call := open_call(spot)) is not None:
            self._ask(spot, call)

    def constrain(self, spot: Spot, likely: Likely) -> Constraint:
        if spot.partial or not spot.bracketed:
            return FREE
        wanted = likely()
        names_one = self.words.begins(ASSIGNS, wanted) and _NAMED.search(spot.head)
        if not names_one and not self.words.begins(CLOSES, wanted):
            return FREE
        call = open_call(spot)
        if call is None:
            return FREE
        answer = self._ask(spot, call)
        if not answer.wait(self.poll):
            return FREE  # nothing is impossible, so there is nothing to take back
        if answer.value is None or len(answer.value) != 1:
            return FREE
        (signature,) = answer.value
        masks = [
            self._banned(sign, signature)
            for sign, wrong in (
                (ASSIGNS, _is_unknown(call, signature)),
                (CLOSES, bool(missing(call, signature))),
            )
            if wrong
        ]
        return Constraint(tuple(masks))

    def _banned(self, sign: bytes, signature: Signature) -> Mask:
        grade, names = "open", len(signature.parameters)
        evidence = Evidence(self.name, self.broker.analyser, grade, names)
        tokens = self.words.beginning_with(sign)
        return Mask(tokens, self.strictness.penalty, True, evidence)

    def _ask(self, spot: Spot, call: OpenCall) -> Answer[tuple[Signature, ...]]:
        key = ("signatures", *self.page.fingerprint, call.callee, call.line)
        behind = len(call.arguments)
        return self.broker.ask(
            key, lambda analyser: analyser.signatures(spot.question(behind), HANG)
        )


_NAMED = re.compile(r"[(,]\s*[^\W\d]\w*\Z")


def _is_unknown(call: OpenCall, signature: Signature) -> bool:
    """Whether the name at the end of the arguments, taken as a parameter's, is none."""
    found = re.search(r"(?:\A|,)\s*([^\W\d]\w*)\Z", call.arguments)
    if found is None or any(each.how is How.ANY_KEYWORD for each in signature.parameters):
        return False
    taken = {each.name for each in signature.parameters if each.how is not How.POSITIONAL}
    return found.group(1) not in taken


def missing(call: OpenCall, signature: Signature) -> list[str]:
    """The parameters that still need an argument; none if `*` or `**` may bring them."""
    given = call.parts
    if any(part.startswith("*") for part in given):
        return []
    named = {part.partition("=")[0].strip() for part in given if _is_named(part)}
    by_place = sum(1 for part in given if part and not _is_named(part))
    parameters: Sequence[str] = [
        each.name for each in signature.parameters if each.how in _BY_PLACE
    ]
    filled = {*parameters[:by_place], *named}
    return [each.name for each in signature.parameters if each.required and each.name not in filled]


def _is_named(part: str) -> bool:
    return re.match(r"\s*[^\W\d]\w*\s*=(?!=)", part) is not None
