"""Many policies in one run: which of them would have decided as the one that leads did.

A run is what its policy answers, so policies that give the same answers to the same questions have
the same run. Of a grid of thresholds most do at most places in code: where the models agree, no
threshold matters. A run that is led by one of them therefore stands, exactly, for all that are
still in `same` behind it, and the grid takes a few runs, not one for each.

What an engine has learnt from earlier requests (`pacing.Experience`) sets how much is guessed
at once, and so may move a token between the models' accounts; those who share a run share that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from polydraft.completion.rows import Choice
from polydraft.completion.switching.policy import Policy, Reason

_ALONE = ("small", "large")  # the engine does not ask these anything


class Lockstep:
    """Implements `Policy`, by the one that leads. `begin` a run before it."""

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        self._policies = policies
        self._lead = next(iter(policies.values()))
        self.same: set[str] = set()

    def begin(self, lead: str) -> None:
        self._lead = self._policies[lead]
        self.same = {lead}
        if self._lead.name not in _ALONE:
            self.same |= {
                name
                for name, policy in self._policies.items()
                if policy.name not in _ALONE and policy.checks == self._lead.checks
            }

    @property
    def name(self) -> str:
        return self._lead.name

    @property
    def checks(self) -> bool:
        return self._lead.checks

    def hands_over(self, small: Sequence[Choice]) -> Reason | None:
        return self._reason(lambda policy: policy.hands_over(small))

    def looks(self, small: Sequence[Choice], price: float = 1.0) -> Reason | None:
        return self._reason(lambda policy: policy.looks(small, price))

    def rejects(
        self, token: int, small: Choice | None, large: Choice, loss: float
    ) -> Reason | None:
        return self._reason(lambda policy: policy.rejects(token, small, large, loss))

    def hands_back(self, large: Sequence[Choice]) -> bool:
        answer = self._lead.hands_back(large)
        self._keep(lambda policy: policy.hands_back(large) == answer)
        return answer

    def _reason(self, ask: Callable[[Policy], Reason | None]) -> Reason | None:
        answer = ask(self._lead)
        self._keep(lambda policy: (ask(policy) is None) == (answer is None))
        return answer

    def _keep(self, agrees: Callable[[Policy], bool]) -> None:
        self.same = {name for name in self.same if agrees(self._policies[name])}
