"""The engine of a pair: the small model drafts at its own speed, the large one makes it right.

The small model's drafts are announced before the large model is asked anything, so what the user
sees first comes as soon as without it. The large model's prompt is computed behind them, kept
across requests as the small one's is, and what little is new of it joins the first check.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

from polydraft.completion.drafters.auto import Auto, Plan
from polydraft.completion.drafters.led_beam import LedBeam
from polydraft.completion.drafters.mend import false_last, mend
from polydraft.completion.drafters.run import distinct
from polydraft.completion.drafters.sampling import CANDIDATES, Sampling
from polydraft.completion.drafters.task import Drafter, Task
from polydraft.completion.engine import Engine, Opened, Outcome, Work, keep
from polydraft.completion.escalation import Escalation, finished_rows
from polydraft.completion.guessers.ahead import Ahead
from polydraft.completion.line import Line
from polydraft.completion.meter import Meter, OutOfTime
from polydraft.completion.ngram_index import NGramIndex
from polydraft.completion.pacing import TAIL, Costs, Experience
from polydraft.completion.rows import Row
from polydraft.completion.sight import Sight
from polydraft.completion.spec_sampling import SampledSpeculation
from polydraft.completion.switching.policy import Policy
from polydraft.completion.switching.spec import Spec
from polydraft.completion.types import Cancelled, Finish

# Of the small model's drafts (`LedBeam`): 1.0 costs a pair a tenth more, for no better drafts.
PATIENCE = 0.6

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Asked:
    """What became of asking the large model."""

    rows: list[Row]
    work: Work | None = None
    notice: str = ""


class PairEngine:
    """Two engines and a policy; implements `engine.Drafting`. Belongs to one worker thread.

    Pairs that share a model share its engine, and so the prompts that it remembers.
    """

    def __init__(
        self, small: Engine, large: Engine, policy: Policy, costs: Costs, *, apart: bool = False
    ) -> None:
        """`apart`: the models run on different devices, so neither waits for the other's."""
        self._small = small
        self._large = large
        self._policy = policy
        self._costs = costs
        self._apart = apart
        self._experience = Experience()
        self._failed = ""  # what the large model failed with, once it has

    @property
    def max_positions(self) -> int:
        return min(self._small.max_positions, self._large.max_positions)

    @property
    def policy(self) -> str:
        return self._policy.name

    @property
    def _alone(self) -> Engine | None:
        """The only model that is asked, by policy or because the large one has failed."""
        if self._failed or self._policy.name == "small":
            return self._small
        return self._large if self._policy.name == "large" else None

    def plan(self, method: str, k: int, waiting: int) -> Plan:
        plan = (self._alone or self._small).plan(method, k, waiting)
        if self._alone is None and method == Auto.name and isinstance(plan.drafter, LedBeam):
            # What its other rows still lack is better left to the large model.
            return replace(plan, drafter=replace(plan.drafter, patience=PATIENCE))
        return plan

    def ahead(self, name: str, prompt: Sequence[int], workspace: NGramIndex | None = None) -> Ahead:
        return (self._alone or self._small).ahead(name, prompt, workspace)

    def prefill(self, prompt: Sequence[int], meter: Meter) -> int:
        """Bring the prompt into both caches, the small model's first."""
        if self._alone is not None:
            return self._alone.prefill(prompt, meter)
        computed = self._small.prefill(prompt, meter)
        try:
            self._warm_large(prompt, meter)
        except (Cancelled, OutOfTime):
            raise
        except Exception as error:  # a request will find out, and tell the user
            logger.info("the large model failed in idle time", exc_info=error)
        return computed

    def draft(self, prompt: Sequence[int], task: Task, meter: Meter, drafter: Drafter) -> Outcome:
        """As `Engine.draft`; `task.on_rows` hears of the small model's rows in between.

        A deadline that passes while the large model works leaves the small one's rows. So does a
        failure of the large model, which is not asked again.
        """
        if self._alone is not None:
            outcome = self._alone.draft(prompt, task, meter, drafter)
            if self._alone is self._large:
                return replace(outcome, work=Work(), large=outcome.work, escalated="always")
            return outcome
        if isinstance(drafter, Sampling) and isinstance(self._policy, Spec):
            return self._sample(prompt, task, meter, drafter)
        with self._beside() as beside:
            reading = None
            if beside is not None:
                reading = beside.submit(self._warm_large, prompt, meter.beside())
            return self._draft(prompt, task, meter, drafter, beside, reading)

    def _draft(
        self,
        prompt: Sequence[int],
        task: Task,
        meter: Meter,
        drafter: Drafter,
        beside: Executor | None,
        reading: Future[None] | None,
    ) -> Outcome:
        try:
            with self._small.opened(prompt, meter) as small:
                assert small.logits is not None
                logits = task.restrict(small.logits)
                rows = drafter.draft(small.tree, logits, task)
                rows = mend(small.tree, small.logits, rows, task)
                keep(small, rows)
                sight = Sight(small.tree, task.watch)
                sight.seed(rows, logits)
                asked, why = _Asked(rows), self._why(prompt, rows, sight)
                if why:
                    task.on_rows(rows)
                    if reading is not None:
                        reading.exception()  # what went wrong goes wrong below again, and is told
                    asked = self._ask(prompt, rows, sight, task, meter, beside)
                    _keep(small, sight, asked.rows)
        except OutOfTime:
            return Outcome([], len(prompt), len(prompt))
        return Outcome(
            asked.rows, len(prompt), small.recomputed, small.work, asked.work, why, asked.notice
        )

    def _warm_large(self, prompt: Sequence[int], meter: Meter) -> None:
        with self._large.opened(prompt, meter, leave=TAIL):
            pass

    @contextmanager
    def _beside(self) -> Iterator[Executor | None]:
        """A thread for the large model, if it has a device of its own.

        There it reads the prompt while the small one drafts, and looks while the small one goes on.
        On one device it would only take the small one's time: there each has its turn.
        """
        if not self._apart:
            yield None
            return
        with ThreadPoolExecutor(1, "polydraft-large") as thread:
            yield thread

    def _sample(
        self, prompt: Sequence[int], task: Task, meter: Meter, sampling: Sampling
    ) -> Outcome:
        """Drafts drawn from the large model's distribution; those that came to their ends."""
        lines = [Line("sampled") for _ in range(task.k)]
        own, free = self._experience.small.rate, self._experience.guesses.rate
        length = self._costs.pace(task.k, own, free).most or 1
        rows: list[Row] = []
        try:
            with (
                self._small.opened(prompt, meter, leave=1) as small,
                self._large.opened(prompt, meter, leave=TAIL) as large,
            ):
                seen = Sight(small.tree, task.watch, small.tail, task.restrict, CANDIDATES)
                judge = Sight(large.tree, task.watch, large.tail, task.restrict, CANDIDATES)
                for sight in (seen, judge):  # what follows the prompt
                    sight.look([()])
                try:
                    SampledSpeculation(seen, judge, task, sampling, length).run(lines)
                finally:
                    rows = distinct([line.row() for line in lines if line.settled], task.key)
                    for row in rows:
                        task.on_row(row)
                    _keep(small, seen, rows)
                    _keep(large, judge, rows)
        except OutOfTime:
            if not rows:
                return Outcome([], len(prompt), len(prompt))
        except Cancelled:
            raise
        except Exception as error:
            notice = self._fail(error)
            return replace(self._small.draft(prompt, task, meter, sampling), notice=notice)
        return Outcome(
            rows, len(prompt), small.recomputed, small.work, large.work, "every draft is checked"
        )

    def _why(self, prompt: Sequence[int], rows: Sequence[Row], small: Sight) -> str:
        """Why the large model is to look at these rows; empty if it is not."""
        if any(row.finish is Finish.DEADLINE for row in rows):
            return ""
        begin = small.behind(())
        assert begin is not None
        if not rows and not self._policy.checks:
            return ""
        missing = 0 if self._apart else self._large.missing(prompt)
        price = self._costs.price(missing, self._experience)
        reason = self._policy.looks(rows[0].seen if rows else [begin.choice], price)
        if reason is None:
            return ""
        return f"{reason.statistic}: {reason.value:.2f}, threshold {reason.threshold:.2f}"

    def _ask(
        self,
        prompt: Sequence[int],
        rows: list[Row],
        small: Sight,
        task: Task,
        meter: Meter,
        beside: Executor | None,
    ) -> _Asked:
        lines = [Line.of(row) for row in rows]
        if not rows:  # the small model has nothing to say: that is judged as well
            begin = small.behind(())
            assert begin is not None
            lines = [Line("greedy")]
            lines[0].propose(begin.choice, task.ends)
        found = _Asked(rows)
        try:
            with self._large.opened(prompt, meter, leave=TAIL) as opened:
                sight = Sight(opened.tree, task.watch, opened.tail, task.restrict)
                escalation = Escalation(
                    small, sight, self._policy, task, self._costs, self._experience, beside
                )
                try:
                    escalation.run(lines)
                    found.rows = distinct([line.row() for line in lines], task.key)
                except OutOfTime:
                    found.rows = finished_rows(lines, rows, task.key)
                found.rows = false_last(found.rows, task)
                _keep(opened, sight, found.rows)
                found.work = opened.work
                self._experience.asked(sum(map(self._costs.large.of, found.work.passes)))
        except OutOfTime:  # in its prompt
            pass
        except Cancelled:
            raise
        except Exception as error:  # out of memory, most likely; the small one goes on
            found.notice = self._fail(error)
        return found

    def _fail(self, error: Exception) -> str:
        """Never ask the large model again; returns what to tell the user."""
        logger.warning("the large model failed", exc_info=error)
        self._failed = str(error).splitlines()[0] if str(error) else type(error).__name__
        return (
            f"The large model failed ({self._failed}) and is not asked any more; the small one"
            " goes on. Reload the models, or choose a smaller large model."
        )


def _keep(opened: Opened, sight: Sight, rows: Sequence[Row]) -> None:
    """Keep what the best draft has fed."""
    ids = rows[0].ids if rows else []
    opened.path, opened.ids = sight.path(ids), list(ids)
