"""The rules of `polydraft.monitors` as one monitor: its state is a draft's bytes so far.

What a rule says is a function of text, so forks and rollbacks cannot leave it behind.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Protocol

from polydraft.completion.monitor import FREE, Constraint, Likely, State, together
from polydraft.completion.protocols import Tokenizer
from polydraft.monitors.spot import Page, Spot


class Rule(Protocol):
    """One kind of name that has to exist; over one request's page."""

    @property
    def name(self) -> str: ...

    def foresee(self, spot: Spot) -> None:
        """See `monitor.Monitor.foresee`."""

    def constrain(self, spot: Spot, likely: Likely) -> Constraint:
        """See `monitor.Monitor.constrain`."""


class TextMonitor:
    """Implements `monitor.Monitor`. In comments everything may come, in strings of one line what
    the rules for `strings` say, in code what the others do."""

    name = "names"

    def __init__(
        self, page: Page, tokenizer: Tokenizer, rules: Sequence[Rule], strings: Sequence[Rule] = ()
    ) -> None:
        self._page = page
        self._tokenizer = tokenizer
        self._rules = {"": tuple(rules), '"': tuple(strings), "'": tuple(strings)}
        self._spots: dict[bytes, Spot] = {}

    def begin(self) -> State:
        return b""

    def observe(self, state: State, token: int) -> State:
        assert isinstance(state, bytes)
        return state + self._tokenizer.token_bytes(token)

    def foresee(self, state: State) -> None:
        spot = self._spot(state)
        for rule in self._rules.get(spot.inside, ()):
            rule.foresee(spot)

    def constrain(self, state: State, likely: Likely) -> Constraint:
        spot = self._spot(state)
        rules = self._rules.get(spot.inside)
        return together([rule.constrain(spot, likely) for rule in rules]) if rules else FREE

    def _spot(self, state: State) -> Spot:
        assert isinstance(state, bytes)
        if state not in self._spots:
            self._spots[state] = self._made(state)
        return self._spots[state]

    def _made(self, state: bytes) -> Spot:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(state)
        return Spot(self._page, text, decoder.getstate()[0])
