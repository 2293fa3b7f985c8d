"""Arguments that a call takes: names that exist, and as many as there are parameters.

Where the analyser knows one signature of what is called:

    `name=`   loses some log-probability if no parameter has that name and no `**` takes it
    `)`       loses some while a parameter without a default has no argument, and no `*` or `**`
              in the call may bring it
    `,`       loses some where every parameter has an argument, unless the call has several lines:
              there a comma often ends the last argument

Python only. Signatures are seldom known for certain (decorators, generated initialisers), so
nothing is impossible.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from polydraft.completion.monitor import FREE, Constraint, Likely, Mask
from polydraft.monitors.analysis import How, Signature
from polydraft.monitors.broker import HANG, Answer
from polydraft.monitors.context import Context
from polydraft.monitors.open_call import OpenCall, open_call
from polydraft.monitors.spot import Spot
from polydraft.monitors.vocabulary import ASSIGNS, CLOSES, SEPARATES

_BY_PLACE = (How.POSITIONAL, How.EITHER)


@dataclass(frozen=True, slots=True)
class Calls:
    """The rule over one request's page."""

    context: Context
    name: str = "calls"

    def foresee(self, spot: Spot) -> None:
        """Ask as soon as a call has begun."""
        if spot.head.endswith("(") and (call := open_call(spot)) is not None:
            self._ask(spot, call)

    def constrain(self, spot: Spot, likely: Likely) -> Constraint:
        if spot.partial or not spot.bracketed:
            return FREE
        wanted = likely()
        names_one = self.context.words.begins(ASSIGNS, wanted) and _NAMED.search(spot.head)
        ends = any(self.context.words.begins(sign, wanted) for sign in (CLOSES, SEPARATES))
        if not names_one and not ends:
            return FREE
        call = open_call(spot)
        if call is None:
            return FREE
        return self.context.if_known(
            self._ask(spot, call), lambda signatures: self._banned_in(call, signatures)
        )

    def _banned_in(self, call: OpenCall, signatures: Sequence[Signature]) -> Constraint:
        if len(signatures) != 1:
            return FREE
        (signature,) = signatures
        masks = [
            self._banned(sign, signature)
            for sign, wrong in (
                (ASSIGNS, _is_unknown(call, signature)),
                (CLOSES, bool(missing(call, signature))),
                (SEPARATES, "\n" not in call.arguments and is_full(call, signature)),
            )
            if wrong
        ]
        return Constraint(tuple(masks))

    def _banned(self, sign: bytes, signature: Signature) -> Mask:
        evidence = self.context.evidence(self.name, "open", len(signature.parameters))
        tokens = self.context.words.beginning_with(sign)
        return Mask(tokens, self.context.strictness.penalty, True, evidence)

    def _ask(self, spot: Spot, call: OpenCall) -> Answer[tuple[Signature, ...]]:
        key = ("signatures", *self.context.page.fingerprint, call.callee, call.line)
        behind = len(call.arguments)
        return self.context.ask(
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


def is_full(call: OpenCall, signature: Signature) -> bool:
    """Whether no further argument can be given."""
    if any(each.how in (How.MORE, How.ANY_KEYWORD) for each in signature.parameters):
        return False
    given = [part for part in call.parts if part]
    return len(given) >= len(signature.parameters) and not _starred(given)


def _starred(parts: Sequence[str]) -> bool:
    return any(part.startswith("*") for part in parts)


def missing(call: OpenCall, signature: Signature) -> list[str]:
    """The parameters that still need an argument; none if `*` or `**` may bring them."""
    given = call.parts
    if _starred(given):
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
