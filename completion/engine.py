"""The engine: prompt ids in, exact draft rows out. It knows no text, no editor and no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polydraft.completion.drafters import DRAFTERS
from polydraft.completion.drafters.auto import Auto, Plan
from polydraft.completion.drafters.task import Drafter, Task
from polydraft.completion.guessers.kit import Guessers
from polydraft.completion.meter import Meter, OutOfTime
from polydraft.completion.prefix_cache import PrefixCache
from polydraft.completion.protocols import Model
from polydraft.completion.rows import Row
from polydraft.completion.tree import DraftTree


@dataclass(frozen=True, slots=True)
class Outcome:
    rows: list[Row]  # distinct, in the drafter's order
    prompt_tokens: int
    recomputed_tokens: int


class Engine:
    """One model and the prompts it remembers. Not thread-safe: it belongs to one worker thread."""

    def __init__(self, model: Model, drafter: Drafter | None = None) -> None:
        self.model = model
        self.drafter: Drafter = drafter or Auto()
        self.guessers = Guessers(
            model, self.drafter.costs if isinstance(self.drafter, Auto) else None
        )
        self._prompts = PrefixCache(model)

    def prefill(self, prompt: Sequence[int], meter: Meter) -> int:
        """Bring the prompt into the cache; returns how many of its tokens had to be computed."""
        return self._prompts.prefill(prompt, meter)[2]

    def plan(self, method: str, k: int, waiting: int) -> Plan:
        """The drafter of a request that names a method, or "auto"."""
        if method != Auto.name:
            return Plan(DRAFTERS[method], "asked for")
        if isinstance(self.drafter, Auto):
            return self.drafter.plan(k, waiting)
        return Plan(self.drafter, "the only one")

    def draft(
        self, prompt: Sequence[int], task: Task, meter: Meter, drafter: Drafter | None = None
    ) -> Outcome:
        """Up to k distinct drafts behind `prompt`, by the engine's own drafter or another.

        Raises `Cancelled` within one forward pass of the cancel. A deadline that passes in the
        prompt gives no rows, later the rows as far as they came.
        """
        try:
            held, logits, recomputed = self._prompts.prefill(prompt, meter)
        except OutOfTime:
            return Outcome([], len(prompt), len(prompt))
        logits = task.restrict(logits)
        tree = DraftTree(self.model, held.cache, meter)
        rows: list[Row] = []
        try:
            rows = (drafter or self.drafter).draft(tree, logits, task)
        finally:
            # The best draft's keys and values are exact: if the user accepts it, they serve again.
            best = rows[0] if rows else Row("none")
            tree.keep_only(best.slots)
            held.ids = [*prompt, *best.ids[: len(best.slots)]]
        return Outcome(rows, len(prompt), recomputed)
