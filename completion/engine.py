"""The engine: prompt ids in, exact draft rows out. It knows no text, no editor and no files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch

from polydraft.completion.drafters import DRAFTERS
from polydraft.completion.drafters.auto import Auto, Plan
from polydraft.completion.drafters.mend import mend
from polydraft.completion.drafters.task import Drafter, Task
from polydraft.completion.guessers.ahead import Ahead
from polydraft.completion.guessers.kit import Guessers
from polydraft.completion.meter import Meter, OutOfTime
from polydraft.completion.ngram_index import NGramIndex
from polydraft.completion.prefix_cache import PrefixCache
from polydraft.completion.protocols import Model
from polydraft.completion.rows import Row
from polydraft.completion.tree import DraftTree


@dataclass(frozen=True, slots=True)
class Work:
    """Counted work of one model: prompt tokens computed, and the new tokens of each pass."""

    prompt_tokens: int = 0
    passes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    rows: list[Row]  # distinct, in the drafter's order
    prompt_tokens: int
    recomputed_tokens: int
    work: Work = Work()
    large: Work | None = None  # of a pair's second model, if it was asked
    escalated: str = ""  # why it was asked, for people
    notice: str = ""  # for the user


@dataclass(slots=True)
class Opened:
    """A prompt in the cache, with a tree behind it.

    `tail` are the prompt's last tokens where they were left to the first pass (then there are no
    `logits`). `path` and `ids` are to be set to the slots that stay and the tokens they hold.
    """

    tree: DraftTree
    logits: torch.Tensor | None  # [V], behind the prompt
    tail: list[int]
    recomputed: int
    path: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)

    @property
    def work(self) -> Work:
        fed = len(self.tail) if self.logits is None else 0
        return Work(self.recomputed - fed, tuple(self.tree.sizes))


class Drafting(Protocol):
    """What a completer needs of an engine, of one model or of a pair."""

    def ahead(self, name: str, prompt: Sequence[int], workspace: NGramIndex | None = None) -> Ahead:
        """What rows behind `prompt` run ahead through, by a guesser's name."""

    @property
    def max_positions(self) -> int: ...

    def plan(self, method: str, k: int, waiting: int) -> Plan:
        """The drafter of a request that names a method, or "auto"."""

    def prefill(self, prompt: Sequence[int], meter: Meter) -> int:
        """Bring the prompt into the cache; returns how many of its tokens had to be computed."""

    def draft(self, prompt: Sequence[int], task: Task, meter: Meter, drafter: Drafter) -> Outcome:
        """Up to k distinct drafts behind `prompt`."""


class Engine:
    """One model and the prompts it remembers. Not thread-safe: it belongs to one worker thread."""

    def __init__(self, model: Model, drafter: Drafter | None = None) -> None:
        self.model = model
        self.drafter: Drafter = drafter or Auto()
        self.guessers = Guessers(
            model, self.drafter.costs if isinstance(self.drafter, Auto) else None
        )
        self._prompts = PrefixCache(model)

    @property
    def max_positions(self) -> int:
        return self.model.max_positions

    def ahead(self, name: str, prompt: Sequence[int], workspace: NGramIndex | None = None) -> Ahead:
        """KeyError: no such guesser."""
        return self.guessers.ahead(name, prompt, workspace)

    def prefill(self, prompt: Sequence[int], meter: Meter) -> int:
        """Bring the prompt into the cache; returns how many of its tokens had to be computed."""
        return self._prompts.prefill(prompt, meter)[2]

    def missing(self, prompt: Sequence[int]) -> int:
        """How many tokens of the prompt are not in a cache."""
        return self._prompts.missing(prompt)

    def plan(self, method: str, k: int, waiting: int) -> Plan:
        """The drafter of a request that names a method, or "auto"."""
        if method != Auto.name:
            return Plan(DRAFTERS[method], "asked for")
        if isinstance(self.drafter, Auto):
            return self.drafter.plan(k, waiting)
        return Plan(self.drafter, "the only one")

    @contextmanager
    def opened(self, prompt: Sequence[int], meter: Meter, leave: int = 0) -> Iterator[Opened]:
        """A tree behind the prompt, whose last 1 to `leave` tokens may be left to its first pass.

        Afterwards the cache holds the prompt and what `path` and `ids` say. Raises `OutOfTime`
        or `Cancelled` from the prompt's own passes.
        """
        if leave:
            held, recomputed = self._prompts.prefill_but_tail(prompt, meter, leave)
            logits = None
        else:
            held, logits, recomputed = self._prompts.prefill(prompt, meter)
        tail = list(prompt[held.cache.length :])
        opened = Opened(DraftTree(self.model, held.cache, meter), logits, tail, recomputed)
        before = held.ids
        held.ids = []  # what a failure leaves in the cache is nobody's
        try:
            yield opened
        finally:
            opened.tree.keep_only(opened.path)
            held.ids = [*before, *[*tail, *opened.ids][: len(opened.path)]]

    def draft(
        self, prompt: Sequence[int], task: Task, meter: Meter, drafter: Drafter | None = None
    ) -> Outcome:
        """Up to k distinct drafts behind `prompt`, by the engine's own drafter or another.

        Raises `Cancelled` within one forward pass of the cancel. A deadline that passes in the
        prompt gives no rows, later the rows as far as they came.
        """
        try:
            with self.opened(prompt, meter) as opened:
                assert opened.logits is not None
                logits = task.restrict(opened.logits)
                rows = (drafter or self.drafter).draft(opened.tree, logits, task)
                rows = mend(opened.tree, opened.logits, rows, task)
                keep(opened, rows)
        except OutOfTime:
            return Outcome([], len(prompt), len(prompt))
        return Outcome(rows, len(prompt), opened.recomputed, opened.work)


def keep(opened: Opened, rows: Sequence[Row]) -> None:
    """Keep the best draft's keys and values: they are exact, and serve if the user accepts it."""
    if rows:
        opened.path, opened.ids = rows[0].slots, rows[0].ids
