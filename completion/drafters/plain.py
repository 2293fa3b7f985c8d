"""Plain superposed decoding, as in the paper: one row of the model for all k drafts.

It costs what one greedy draft costs, however large k is. Its drafts are near-copies on code and
their log-probabilities are the mixture's, not exact (docs/measurements.md); the way to go when the
device is busy with others.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from polydraft.completion.drafters.run import announce, distinct
from polydraft.completion.drafters.task import Task
from polydraft.completion.meter import OutOfTime
from polydraft.completion.ngram import NGrams
from polydraft.completion.rows import Row
from polydraft.completion.superposed import Hypothesis, Superposition
from polydraft.completion.tree import DraftTree
from polydraft.completion.types import Finish


@dataclass(frozen=True, slots=True)
class PlainSuperposed:
    name: str = "superposed-plain"
    ngrams: bool = False  # tell the drafts apart by the workspace's n-grams

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        ngrams = task.ngrams if self.ngrams else NGrams()
        superposition = Superposition(logits, task.k, task.ends, ngrams, task.watch)
        path: list[int] = []
        rows: list[Row] = []
        try:
            while superposition.alive and len(superposition.finished) < task.k:
                tokens, weights = superposition.mixture()
                embedded = tree.model.embed(tokens)
                slot = tree.next_slot
                superposition.foresee()
                (answer,) = tree.feed((weights.to(embedded) @ embedded)[None], [path])
                path.append(slot)
                superposition.advance(answer)
                self._collect(superposition.finished, rows, task)
        except OutOfTime:
            self._collect([*superposition.finished, *superposition.alive], rows, task)
        self._collect(superposition.finished, rows, task)
        return distinct(sorted(rows, key=lambda row: -row.mean_logprob), task.key)[: task.k]

    def _collect(self, finished: list[Hypothesis], rows: list[Row], task: Task) -> None:
        """Make rows of the hypotheses that have finished since the last call."""
        fresh = [self._row(hypothesis, task) for hypothesis in finished[len(rows) :]]
        announce(fresh, task)
        rows += fresh

    def _row(self, hypothesis: Hypothesis, task: Task) -> Row:
        """A row without exact scores; the mixture's score is spread evenly over its tokens."""
        ids = list(hypothesis.ids)
        row = Row("superposed", ids, [hypothesis.score / max(1, len(ids))] * len(ids), exact=False)
        if hypothesis.stopped:
            row.finish = Finish.STOP_TOKEN
        else:
            row.finish = task.ends.of(ids) or Finish.DEADLINE
        return row
