"""k distinct exact drafts: a greedy row, superposed proposals beside it, one exact re-score.

    1. The greedy row and ONE superposed row (k hypotheses in a mixture) decode in the same passes.
    2. Where the hypotheses leave the greedy row they name forks; so does the exact row's own
       distribution. The exactly most probable forks win.
    3. One pass over the shared prefix scores the forks' superposed tails exactly; each tail is cut
       at its first implausible token and repaired from there with the keys and values that the
       pass left: from here on every row is exact.
    4. Rows run to their ends together; rows that read the same are dropped and new forks fill up.

Superposition alone writes near-copies and incoherent tails on code (docs/measurements.md); as a
proposer it costs one row, and every token that reaches the user has an exact log-probability.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from polydraft.completion.drafters.forks import best_forks, refill
from polydraft.completion.drafters.greedy import Greedy
from polydraft.completion.drafters.run import announce, distinct, greedy_first, out_of_time, run
from polydraft.completion.drafters.task import Task
from polydraft.completion.meter import OutOfTime
from polydraft.completion.prefix_cache import common_prefix
from polydraft.completion.rows import ALTERNATIVES, Choice, Ends, Row, choices, look
from polydraft.completion.superposed import Superposition
from polydraft.completion.tree import DraftTree

HORIZON = 12  # superposed steps: the mixture stays near-linear for about ten
PLAUSIBLE = 0.7  # nats below the exact best token that a superposed token may lie


@dataclass(frozen=True, slots=True)
class SuperposedRescored:
    """The method of this module."""

    name: str = "superposed"

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        if task.k == 1:
            return Greedy().draft(tree, logits, task)
        greedy = Row("greedy")
        greedy.take_best(choices(logits[None])[0], task.ends)
        rows = [greedy]
        try:
            hypotheses = _superpose(tree, greedy, logits, task)
            announce([greedy], task)
            rows += _rescore(tree, greedy, hypotheses, task)
        except OutOfTime:
            out_of_time(rows)
            return distinct(rows, task.key)
        run(tree, rows, task)
        return greedy_first(refill(tree, rows, task))


def _superpose(
    tree: DraftTree,
    greedy: Row,
    logits: torch.Tensor,
    task: Task,
) -> list[tuple[int, ...]]:
    """Run the greedy row and the mixture side by side; returns the hypotheses' ids, best first."""
    superposition = Superposition(logits, task.k, task.ends, task.ngrams, task.watch)
    path: list[int] = []
    for _ in range(HORIZON):
        if greedy.finish is not None or not superposition.alive:
            break
        first = tree.next_slot
        tokens, weights = superposition.mixture()
        embedded = tree.model.embed(torch.cat([torch.tensor(greedy.ids[-1:]), tokens]))
        exact, mixed = embedded[0], weights.to(embedded) @ embedded[1:]
        superposition.foresee()
        task.watch.foresee([greedy.ids])
        both = tree.feed(torch.stack([exact, mixed]), [greedy.slots, path])
        greedy.slots.append(first)
        path.append(first + 1)
        answer = task.watch.constrain([greedy.ids], both[:1])
        greedy.take_best(choices(answer)[0], task.ends)
        superposition.advance(both[1])
    found = sorted(superposition.finished + superposition.alive, key=lambda h: -h.score)
    return [h.ids for h in found]


def _rescore(
    tree: DraftTree, greedy: Row, hypotheses: Iterable[tuple[int, ...]], task: Task
) -> list[Row]:
    """Fork the greedy row; score the superposed tails in one pass, cut them, take a token more."""
    tails: dict[tuple[int, int], tuple[int, ...]] = {}
    for ids in hypotheses:
        depth = common_prefix(ids, greedy.ids)
        if depth < len(ids):
            tails.setdefault((depth, ids[depth]), ids[depth + 1 :])
    forks = best_forks([greedy], task.k - 1)
    rows = [fork.take(task.ends) for fork in forks]
    proposals = [tails.get((fork.depth, fork.token), ()) for fork in forks]
    feeding = [(row, tail) for row, tail in zip(rows, proposals, strict=True) if not row.finish]
    announce(rows, task)
    if greedy.finish is None:
        feeding.append((greedy, ()))
    if not feeding:
        return rows
    fed, guesses = [row for row, _ in feeding], [tail for _, tail in feeding]
    for row, tail, seen in zip(
        fed, guesses, look(tree, fed, guesses, ALTERNATIVES, task.watch), strict=True
    ):
        _accept(row, tail, seen, task.ends)
    announce(fed, task)
    return rows


def _accept(row: Row, tail: Sequence[int], seen: Sequence[tuple[int, Choice]], ends: Ends) -> None:
    """Keep the tail up to its first implausible token; take the exact model's best one there."""
    for i, (slot, choice) in enumerate(seen):
        row.slots.append(slot)
        proposed = tail[i] if i < len(tail) else None
        if proposed in choice.tokens:
            logprob = choice.logprobs[choice.tokens.index(proposed)]
            if logprob >= choice.logprobs[0] - PLAUSIBLE:
                row.drafter = "superposed"
                row.take(proposed, logprob, choice, ends)
                if row.finish is not None:
                    return
                continue
        row.take_best(choice, ends)
        return
