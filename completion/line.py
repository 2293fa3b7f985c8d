"""A draft that two models work on: who wrote which token, what is judged, what was taken back."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from polydraft.completion.rows import Choice, Ends, Row
from polydraft.completion.switching.policy import Reason
from polydraft.completion.types import Finish, Origin, Switch, SwitchEvent


@dataclass(slots=True)
class Line:
    """`ids[:judged]` stand; what is behind them is the small model's proposal.

    A stop token that ends the line is proposed and judged like any other, but is not among the ids.
    """

    drafter: str
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)  # the judge's where judged (nats)
    small: list[Choice | None] = field(default_factory=list)  # None: the large model's token
    origins: list[Origin] = field(default_factory=list)
    switches: list[SwitchEvent] = field(default_factory=list)
    judged: int = 0
    finish: Finish | None = None
    stop_token: int | None = None
    settled: bool = False  # finished, and nothing is left to judge
    asked: Reason | None = None  # why the large model is to write the next token
    staying: list[Choice] = field(default_factory=list)  # the large model's, since it took over
    since: int = 0  # where the small model last took over
    taken_back: list[int] = field(default_factory=list)  # behind the token last rejected

    @classmethod
    def of(cls, row: Row) -> Line:
        """A finished row of the small model's."""
        return cls(
            row.drafter,
            list(row.ids),
            list(row.logprobs),
            list(row.seen) or [None] * (len(row.ids) + 1),  # not exact: guesses
            [Origin.SMALL] * len(row.ids),
            finish=row.finish,
            stop_token=row.stop_token,
        )

    @property
    def proposed(self) -> int | None:
        """The first token that is not judged; None if all are."""
        return self.ids[self.judged] if self.judged < len(self.ids) else self.stop_token

    @property
    def waiting(self) -> int:
        """Tokens that are not judged."""
        return len(self.ids) - self.judged

    @property
    def chance(self) -> float:
        """The small model's probability of all that is not judged; guesses count as certain."""
        return math.exp(sum(self.logprobs[self.judged :]))

    def uncertain(self) -> list[Choice]:
        """The small model's choices since the last switch."""
        return [choice for choice in self.small[self.since :] if choice is not None]

    def reopen(self) -> None:
        """Go on behind a draft that was only cut short: its end is nobody's choice."""
        if self.finish is Finish.CUT:
            del self.small[len(self.ids) :]
            self.finish, self.settled = None, False

    def confirm(self, logprob: float) -> None:
        """The proposed token stands, with the judge's log-probability."""
        if self.judged < len(self.ids):
            self.logprobs[self.judged] = logprob
            self.judged += 1
            if self.proposed is not None:  # a stop token is still to be judged
                return
        self.settled = self.finish is not None

    def cut(self, at: int) -> None:
        """Take back everything from token `at` on."""
        del self.ids[at:], self.logprobs[at:], self.small[at:], self.origins[at:]
        self.judged = min(self.judged, at)
        self.finish = self.stop_token = self.asked = None
        self.settled = False

    def reject(self) -> None:
        """Take back what is proposed; what was behind the first token of it may still come."""
        self.taken_back = self.ids[self.judged + 1 :]
        self.cut(self.judged)

    def leave(self) -> None:
        """No time is left to judge the rest: a draft that was finished stays, else it ends here."""
        if self.finish is None or None in self.small[self.judged : len(self.ids)]:
            self.cut(self.judged)
            self.finish = Finish.CUT
        self.settled = True

    def realigned(self) -> list[int]:
        """What may come next of what was taken back: behind the same token, else all of it.

        A name that was wrong is often the only wrong thing in a line.
        """
        found, self.taken_back = self.taken_back, []  # it is tried once
        last = self.ids[-1] if self.ids else None
        return found[found.index(last) + 1 :] if last in found else found

    def guess(self, token: int, origin: Origin, ends: Ends) -> None:
        """A token that nobody vouches for: it stands if it is the large model's best."""
        if self.finish is None:
            self._append(token, 0.0, None, origin, ends)

    def propose(self, choice: Choice, ends: Ends) -> None:
        """The small model's best next token."""
        self._append(choice.tokens[0], choice.logprobs[0], choice, Origin.SMALL, ends)

    def draw(self, token: int, logprob: float, choice: Choice, ends: Ends) -> None:
        """A next token that was drawn from what the small model says."""
        self._append(token, logprob, choice, Origin.SMALL, ends)

    def write(self, choice: Choice, origin: Origin, ends: Ends) -> None:
        """The large model's best next token, which stands at once."""
        self._append(choice.tokens[0], choice.logprobs[0], None, origin, ends)
        self.judged = len(self.ids)
        self.settled = self.finish is not None

    def force(self, token: int, logprob: float, ends: Ends) -> None:
        """A token of the large model's that is not its best, which stands at once."""
        self._append(token, logprob, None, Origin.LARGE, ends)
        self.judged = len(self.ids)
        self.settled = self.finish is not None

    def tell(self, kind: Switch, reason: Reason | None = None) -> None:
        """Something happened before the next token."""
        told = (reason.statistic, reason.value, reason.threshold) if reason else ("", 0.0, 0.0)
        self.switches.append(SwitchEvent(kind, len(self.ids), *told))

    def row(self) -> Row:
        """The finished line; a row of neither model's tree."""
        return Row(
            self.drafter, self.ids, self.logprobs, [], [], self.finish, self.stop_token,
            origins=self.origins, switches=self.switches, checked=self.judged == len(self.ids),
        )  # fmt: skip

    def _append(
        self, token: int, logprob: float, choice: Choice | None, origin: Origin, ends: Ends
    ) -> None:
        if token in ends.stops:
            self.finish, self.stop_token = Finish.STOP_TOKEN, token
            self.small.append(choice)
            return
        self.ids.append(token)
        self.logprobs.append(logprob)
        self.small.append(choice)
        self.origins.append(origin)
        self.finish = ends.of(self.ids)
