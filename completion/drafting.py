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

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from polydraft.completion.meter import OutOfTime
from polydraft.completion.ngram import NGrams
from polydraft.completion.prefix_cache import common_prefix
from polydraft.completion.rows import Choice, Ends, Row, choices, step
from polydraft.completion.superposed import Superposition
from polydraft.completion.tree import DraftTree
from polydraft.completion.types import Finish

HORIZON = 12  # superposed steps: the mixture stays near-linear for about ten
PLAUSIBLE = 0.7  # nats below the exact best token that a superposed token may lie
FORK_FLOOR = 7.0  # nats: forks with less joint probability than e^-7 are not worth a row
REFILLS = 4  # rounds of new forks after drafts turned out to read the same

Key = Callable[[Sequence[int], Finish], str | None]


@dataclass(frozen=True, slots=True)
class Task:
    """What a drafter is asked for.

    `key` gives what a draft looks like to the user (None: nothing worth showing); drafts with equal
    keys are one. `on_row` hears of each row as it finishes.
    """

    k: int
    ends: Ends
    key: Key
    on_row: Callable[[Row], None]
    first: tuple[int, ...] | None = None  # the only first tokens allowed (`healing.py`)

    def restrict(self, logits: torch.Tensor) -> torch.Tensor:
        """logits [V] behind the prompt, with only the allowed first tokens left."""
        if self.first is None:
            return logits
        allowed = torch.tensor(self.first)
        return torch.full_like(logits, -torch.inf).index_copy(0, allowed, logits[allowed])


def draft_greedy(tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
    """One row; logits [V] are the exact model's behind the prompt."""
    return _distinct([_greedy_row(tree, logits, task)], task.key)


def draft_forked(tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
    """The greedy row first, then its most probable forks together."""
    return _refill(tree, [_greedy_row(tree, logits, task)], task)


def draft_superposed(
    tree: DraftTree, logits: torch.Tensor, task: Task, ngrams: NGrams
) -> list[Row]:
    """The method of this module; logits [V] are the exact model's behind the prompt."""
    if task.k == 1:
        return draft_greedy(tree, logits, task)
    greedy = Row("greedy")
    greedy.take_best(choices(logits[None])[0], task.ends)
    rows = [greedy]
    try:
        hypotheses = _superpose(tree, greedy, logits, task, ngrams)
        _announce([greedy], task)
        rows += _rescore(tree, greedy, hypotheses, task)
    except OutOfTime:
        return _out_of_time(rows)
    _run(tree, rows, task)
    return _refill(tree, rows, task)


def _greedy_row(tree: DraftTree, logits: torch.Tensor, task: Task) -> Row:
    row = Row("greedy")
    row.take_best(choices(logits[None])[0], task.ends)
    _announce([row], task)
    _run(tree, [row], task)
    return row


def _superpose(
    tree: DraftTree, greedy: Row, logits: torch.Tensor, task: Task, ngrams: NGrams
) -> list[tuple[int, ...]]:
    """Run the greedy row and the mixture side by side; returns the hypotheses' ids, best first."""
    superposition = Superposition(logits, task.k, task.ends, ngrams)
    path: list[int] = []
    for _ in range(HORIZON):
        if greedy.finish is not None or not superposition.alive:
            break
        first = tree.next_slot
        tokens, weights = superposition.mixture()
        embedded = tree.model.embed(torch.cat([torch.tensor(greedy.ids[-1:]), tokens]))
        exact, mixed = embedded[0], weights.to(embedded) @ embedded[1:]
        both = tree.feed(torch.stack([exact, mixed]), [greedy.slots, path])
        greedy.slots.append(first)
        path.append(first + 1)
        greedy.take_best(choices(both[:1])[0], task.ends)
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
    forks = _best_forks([greedy], task.k - 1)
    rows = [fork.take(task.ends) for fork in forks]
    proposals = [tails.get((fork.depth, fork.token), ()) for fork in forks]
    feeding = [(row, tail) for row, tail in zip(rows, proposals, strict=True) if not row.finish]
    _announce(rows, task)
    if greedy.finish is None:
        feeding.append((greedy, ()))
    if not feeding:
        return rows
    tokens: list[int] = []
    paths: list[list[int]] = []
    for row, tail in feeding:
        path = list(row.slots)
        for token in (row.ids[-1], *tail):
            paths.append(list(path))
            path.append(tree.next_slot + len(tokens))
            tokens.append(token)
    first = tree.next_slot
    seen = choices(tree.feed(torch.tensor(tokens), paths))
    at = 0
    for row, tail in feeding:
        own = range(at, at + 1 + len(tail))
        _accept(row, tail, [first + i for i in own], [seen[i] for i in own], task.ends)
        at += 1 + len(tail)
    _announce((row for row, _ in feeding), task)
    return rows


def _accept(
    row: Row, tail: Sequence[int], slots: Sequence[int], seen: Sequence[Choice], ends: Ends
) -> None:
    """Keep the tail up to its first implausible token; take the exact model's best one there."""
    for i, choice in enumerate(seen):
        row.slots.append(slots[i])
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


def _run(tree: DraftTree, rows: Sequence[Row], task: Task) -> None:
    """Run every row to its end; on a passed deadline they end where they are."""
    running = [row for row in rows if row.finish is None]
    try:
        while running:
            step(tree, running, task.ends)
            _announce(running, task)
            running = [row for row in running if row.finish is None]
    except OutOfTime:
        _out_of_time(running)


def _announce(rows: Iterable[Row], task: Task) -> None:
    for row in rows:
        if row.finish is not None:
            task.on_row(row)


def _out_of_time(rows: list[Row]) -> list[Row]:
    for row in rows:
        if row.finish is None:
            row.finish = Finish.DEADLINE
    return rows


@dataclass(frozen=True, slots=True)
class Fork:
    """A token that `row` did not take at `depth`; `joint` is the new prefix's log-probability."""

    row: Row
    depth: int
    token: int
    logprob: float
    joint: float

    def take(self, ends: Ends) -> Row:
        return self.row.fork(self.depth, self.token, self.logprob, ends, "fork")


def _best_forks(rows: Sequence[Row], count: int) -> list[Fork]:
    """The `count` most probable prefixes that no row has yet."""
    taken = {(*row.ids[: i + 1],) for row in rows for i in range(len(row.ids))}
    taken |= {(*row.ids, row.seen[-1].tokens[0]) for row in rows if row.finish is Finish.STOP_TOKEN}
    found: dict[tuple[int, ...], Fork] = {}
    for row in rows:
        joint = 0.0
        for depth, choice in enumerate(row.seen):
            for token, logprob in zip(choice.tokens, choice.logprobs, strict=True):
                prefix = (*row.ids[:depth], token)
                if prefix not in taken and joint + logprob > -FORK_FLOOR:
                    found.setdefault(prefix, Fork(row, depth, token, logprob, joint + logprob))
            if depth < len(row.ids):
                joint += row.logprobs[depth]
    return heapq.nlargest(count, found.values(), key=lambda fork: fork.joint)


def _refill(tree: DraftTree, rows: list[Row], task: Task) -> list[Row]:
    """Drop rows that read like an earlier one and fork new ones until k differ, or none is left."""
    kept = _distinct(rows, task.key)
    for _ in range(REFILLS):
        missing = task.k - len(kept)
        if missing <= 0 or any(row.finish is Finish.DEADLINE for row in rows):
            break
        fresh = [fork.take(task.ends) for fork in _best_forks(rows, missing)]
        _announce(fresh, task)
        _run(tree, fresh, task)
        rows = [*rows, *fresh]
        kept = _distinct([*kept, *fresh], task.key)
        if not fresh:
            break
    return kept


def _distinct(rows: Iterable[Row], key: Key) -> list[Row]:
    """The first row of each visible text, in order."""
    kept: dict[str, Row] = {}
    for row in rows:
        assert row.finish is not None
        text = key(row.ids, row.finish)
        if text is not None:
            kept.setdefault(text, row)
    return list(kept.values())
