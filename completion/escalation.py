"""Both models on the same drafts: the small one proposes, the large one judges and goes on.

One loop serves every policy (`switching`):

    1. The large model looks at what it has not seen, in one pass over the tokens that the small one
       holds for most probable (as dynamic draft trees do: EAGLE-2, arXiv 2406.16858, section 4.1),
       as many as are cheap together; whatever the policy rejects is taken back and replaced by the
       large model's best token. That pass is the exact re-score of the drafts, the escalation and
       the catch-up of its cache in one. A draft whose rest is sure enough is not looked at further.
    2. Other drafts stay alternatives to the first one: the token by which they leave it is theirs
       to choose, as long as the large model holds it for possible; what follows is judged as usual.
       Places in the set that fall free go to the large model's own best alternatives.
    3. The small model catches up in one pass and proposes the next tokens, as many as pay.

Until the first draft that shows anything is settled: what the others lack by then is left as it is.
On devices of their own both models work at once: while the large one looks, the small one goes on
behind what it has proposed, as if all of it stood (PEARL's post-verify; Liu et al., arXiv
2408.11850).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, wait
from dataclasses import dataclass, field

from polydraft.completion.drafters.run import distinct
from polydraft.completion.drafters.task import Key, Task
from polydraft.completion.line import Line
from polydraft.completion.pacing import MOST, Costs, Experience, Pace, Standing, worth_looking
from polydraft.completion.prefix_cache import common_prefix
from polydraft.completion.rows import Row
from polydraft.completion.sight import Sight
from polydraft.completion.switching.policy import Policy, Reason, first_hand_over
from polydraft.completion.types import Origin, Switch
from polydraft.completion.watch import Prefix

FLOOR = 7.0  # nats: an alternative with less joint probability than e^-7 is not worth a place
KNOWN = 3.0  # nats: what a draft that is written already is worth in the choice of alternatives
BESIDE = 0.2  # what a token of another draft is worth against one of the first, which is awaited


@dataclass(slots=True)
class Escalation:
    """One request's way through both models; `run` changes the lines that it is given."""

    small: Sight
    large: Sight
    policy: Policy
    task: Task
    costs: Costs
    experience: Experience = field(default_factory=Experience)
    beside: Executor | None = None  # where the large model's passes run; None: in their turn
    here: Standing = field(init=False)  # of the small model's tokens, in this request

    def __post_init__(self) -> None:
        self.here = self.experience.here()

    def run(self, lines: list[Line]) -> None:
        """Bring every line to its end. `OutOfTime` leaves those unsettled that had to wait."""
        leader, *others = lines
        if self.policy.checks:
            leader.reopen()
            self._look(lines)
            self._settle(leader)
            lines[1:] = self._alternatives(leader, others)
        else:
            for line in others:  # where it leaves the first draft it is meant to be unlikely
                line.since = common_prefix(leader.ids, line.ids) + 1
            for line in lines:
                self._cut_where_unsure(line)
            self._look(lines)
            self._settle(leader)
        for line in lines[1:]:
            self._settle(line)
        while self._go_on_for(lines):
            open_lines = [line for line in lines if not line.settled]
            self._propose(open_lines)
            self._look([line for line in open_lines if not line.settled])
            for line in open_lines:
                self._settle(line)
        for line in lines:
            if not line.settled:
                line.leave()

    def _go_on_for(self, lines: Sequence[Line]) -> bool:
        """Whether the first draft with anything to show has not come to its end; it may go on."""
        first = next((line for line in lines if not line.settled or self._shows(line)), None)
        if first is None:
            return False
        if first.settled:
            first.reopen()
        return not first.settled

    def _shows(self, line: Line) -> bool:
        return line.finish is None or self.task.key(line.ids, line.finish) is not None

    # --- the large model ---

    def _look(self, lines: Sequence[Line]) -> None:
        """One pass of the large model; beside it the small one goes on, if it can."""
        prefixes = self._worth_looking(lines)
        if self.beside is None or not self.policy.checks:
            self.large.look(prefixes)
            return
        looking = self.beside.submit(self.large.look, prefixes)
        try:
            self._go_on(lines, Pace(MOST))
        finally:
            wait([looking])
        looking.result()

    def _worth_looking(self, lines: Sequence[Line]) -> list[Prefix]:
        """What stands already, and the most probable of what is proposed."""
        if not self.policy.checks:
            return [(*line.ids,) for line in lines if line.asked or line.staying]
        held = [(*line.ids[: line.judged],) for line in lines]
        chances: dict[Prefix, float] = {}
        for line in lines:
            chance = 1.0 if line is lines[0] else BESIDE
            for at in range(line.judged, len(line.ids)):
                guessed = line.small[at] is None
                chance *= self.experience.guesses.rate if guessed else math.exp(line.logprobs[at])
                prefix = (*line.ids[: at + 1],)
                chances[prefix] = max(chance, chances.get(prefix, 0.0))
        order = sorted(chances, key=chances.__getitem__, reverse=True)
        before = self.large.unseen(held)
        count = worth_looking(
            [chances[prefix] for prefix in order], lambda n: self.costs.large.of(max(1, before + n))
        )
        return [*held, *order[:count]]

    def _settle(self, line: Line) -> None:
        """Judge what is proposed, as far as the large model has looked, and let it write."""
        while not line.settled:
            view = self.large.behind(line.ids[: line.judged])
            if view is None:
                line.settled = self._sure(line)
                return
            token = line.proposed
            if token is None and line.finish is not None:
                line.settled = True
            elif token is None:
                if not line.staying:
                    line.tell(Switch.HAND_OVER, line.asked)
                self._write(line)
            else:
                small = line.small[line.judged]
                logprob = view.logprob(token)
                reason = self.policy.rejects(token, small, view.choice, -logprob)
                self._hear(small is not None, reason is None)
                if reason is None:
                    line.confirm(logprob)
                else:
                    line.reject()
                    if small is not None:
                        line.tell(Switch.ROLLBACK, reason)
                    self._write(line)

    def _hear(self, small: bool, stood: bool) -> None:
        (self.experience.small if small else self.experience.guesses).hear(stood)
        if small:
            self.here.hear(stood)

    def _sure(self, line: Line) -> bool:
        """Whether a finished draft's rest is not worth a look, by what the small model said."""
        rest = [choice for choice in line.small[line.judged :] if choice is not None]
        if line.finish is None or not rest or None in line.small[line.judged :]:
            return False
        return self.policy.looks(rest) is None

    def _write(self, line: Line) -> None:
        """The large model's next token; a token that a draft of the small one's has is its."""
        view = self.large.behind(line.ids)
        assert view is not None
        line.asked = None
        known = self.large.behind([*line.ids, view.choice.tokens[0]]) is not None
        line.write(view.choice, Origin.SMALL if known else Origin.LARGE, self.task.ends)
        line.staying.append(view.choice)

    # --- the small model ---

    def _propose(self, lines: Sequence[Line]) -> None:
        """Let the small model go on, unless the large one stays or no proposal pays."""
        for line in lines:  # what was taken back often fits behind the correction, for nothing
            for token in line.realigned()[:MOST]:
                line.guess(token, Origin.SMALL, self.task.ends)
        writing = [line for line in lines if not line.waiting and self._may_go_back(line)]
        pace = Pace(self.task.ends.max_tokens)
        if self.policy.checks and writing:
            free = self.experience.guesses.rate
            pace = self.costs.pace(len(writing), self.here.rate, free)
            if not pace.most:
                self._guess(writing[0], self.costs.guesses(len(writing), free))
                return
        for line in writing:
            if line.staying:
                line.tell(Switch.HAND_BACK)
                line.staying, line.since = [], len(line.ids)
        self._go_on(writing, pace)

    def _go_on(self, lines: Sequence[Line], pace: Pace) -> None:
        """The small model's next tokens for each of the drafts."""
        for _ in range(pace.most):
            lines = [
                line
                for line in lines
                if line.finish is None and line.asked is None and line.chance >= pace.least
            ]
            if not lines:
                return
            self.small.look([line.ids for line in lines])
            for line in lines:
                self._take(line)

    def _guess(self, line: Line, most: int) -> None:
        """Tokens that cost nothing, of the prompt or of the workspace."""
        for token in self.task.ahead.free(self.large.tree, line.row(), most):
            line.guess(token, Origin.LARGE, self.task.ends)

    def _may_go_back(self, line: Line) -> bool:
        if line.staying:
            return self.policy.hands_back(line.staying)
        return line.asked is None

    def _take(self, line: Line) -> None:
        view = self.small.behind(line.ids)
        assert view is not None
        line.asked = self.policy.hands_over([*line.uncertain(), view.choice])
        if line.asked is None:
            line.propose(view.choice, self.task.ends)
            if line.finish is not None and not self.policy.checks:
                line.judged, line.settled = len(line.ids), True

    def _cut_where_unsure(self, line: Line) -> None:
        """Where the small model's finished draft would have been handed over."""
        found = first_hand_over(self.policy.hands_over, line.uncertain())
        if found is not None:
            line.cut(line.since + found[0])
            line.asked = found[1]
        line.judged, line.settled = len(line.ids), found is None

    # --- alternatives to the first draft ---

    def _alternatives(self, leader: Line, others: Sequence[Line]) -> list[Line]:
        """The best ways to leave the first draft, at most k - 1, in the places of `others`."""
        tails: dict[Prefix, tuple[int, Line]] = {}
        for place, line in enumerate(others):
            path = [*line.ids, *([] if line.stop_token is None else [line.stop_token])]
            depth = common_prefix(leader.ids, path)
            if depth < len(path):
                tails.setdefault((*path[: depth + 1],), (place, line))
        shown = not leader.settled or self._shows(leader)
        scores = dict(self._ways_out(leader, tails, KNOWN if shown else 0.0))
        # Its place is free then; but who wants one draft wants the first, or none.
        count = self.task.k - 1 if shown or self.task.k == 1 else self.task.k
        best = heapq.nlargest(count, scores, key=scores.__getitem__)
        found: list[tuple[int | None, Line]] = []
        for prefix in best:
            if prefix in tails:
                place, line = tails[prefix]
                self._stand(leader, line, len(prefix) - 1)
                found.append((place, line))
            else:
                found.append((None, self._fork(leader, prefix)))
        if not shown:  # the best of them comes first
            return [line for _, line in found]
        places = {place: line for place, line in found if place is not None}
        free = (place for place in range(self.task.k) if place not in places)
        places.update(zip(free, (line for place, line in found if place is None), strict=False))
        return [places[place] for place in sorted(places)]

    def _ways_out(
        self, leader: Line, tails: Iterable[Prefix], known: float
    ) -> Iterable[tuple[Prefix, float]]:
        """Prefixes that leave the first draft, with their joint log-probability (nats).

        `tails` are those of drafts that are written already, which is worth `known`.
        """
        finished = set(tails)
        joint = 0.0
        for depth in range(len(leader.ids) + 1):
            before = (*leader.ids[:depth],)
            view = self.large.behind(before)
            if view is None:
                return
            taken = leader.ids[depth] if depth < len(leader.ids) else leader.stop_token
            extra = [prefix[-1] for prefix in finished if prefix[:-1] == before]
            for token in {*view.choice.tokens, *extra} - {taken}:
                score = joint + view.logprob(token)
                prefix = (*before, token)
                if score > -FLOOR:
                    yield prefix, score + (known if prefix in finished else 0.0)
            if depth < len(leader.ids):
                joint += leader.logprobs[depth]

    def _stand(self, leader: Line, line: Line, depth: int) -> None:
        """An alternative of the small model's: up to and with the token at `depth` it stands."""
        line.logprobs[:depth] = leader.logprobs[:depth]
        line.origins[:depth] = leader.origins[:depth]
        line.small[:depth] = leader.small[:depth]
        line.judged = depth
        view = self.large.behind(line.ids[:depth])
        token = line.proposed
        assert view is not None and token is not None
        line.confirm(view.logprob(token))
        if line.judged == depth:  # it leaves the first draft by ending
            line.settled = True

    def _fork(self, leader: Line, prefix: Prefix) -> Line:
        depth = len(prefix) - 1
        line = Line(
            "fork",
            leader.ids[:depth],
            leader.logprobs[:depth],
            leader.small[:depth],
            leader.origins[:depth],
            judged=depth,
        )
        view = self.large.behind(prefix[:-1])
        assert view is not None
        logprob = view.logprob(prefix[-1])
        line.tell(Switch.FORK, Reason("log-probability (nats)", logprob, -FLOOR))
        line.force(prefix[-1], logprob, self.task.ends)
        return line


def finished_rows(lines: Sequence[Line], before: Sequence[Row], key: Key) -> list[Row]:
    """When time is over: what is settled, else the small model's draft in its place."""
    if not lines[0].settled:
        return list(before)
    rows = []
    for place, line in enumerate(lines):
        if line.settled:
            rows.append(line.row())
        elif place < len(before):
            rows.append(before[place])
    return distinct(rows, key)
