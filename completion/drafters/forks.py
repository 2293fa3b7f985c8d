"""Where exact rows might have gone instead: the most probable prefixes that no row has."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from polydraft.completion.drafters.run import announce, distinct, run
from polydraft.completion.drafters.task import Task
from polydraft.completion.rows import Ends, Row
from polydraft.completion.tree import DraftTree
from polydraft.completion.types import Finish

FORK_FLOOR = 7.0  # nats: forks with less joint probability than e^-7 are not worth a row
REFILLS = 4  # rounds of new forks after drafts turned out to read the same


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


def all_forks(rows: Sequence[Row]) -> list[Fork]:
    """Every prefix above the floor that no row has yet, once each."""
    taken = {(*row.ids[: i + 1],) for row in rows for i in range(len(row.ids))}
    taken |= {(*row.ids, row.stop_token) for row in rows if row.stop_token is not None}
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
    return list(found.values())


def best_forks(rows: Sequence[Row], count: int) -> list[Fork]:
    """The `count` most probable prefixes that no row has yet."""
    return heapq.nlargest(count, all_forks(rows), key=lambda fork: fork.joint)


def refill(tree: DraftTree, rows: list[Row], task: Task) -> list[Row]:
    """Drop rows that read like an earlier one and fork new ones until k differ, or none is left."""
    kept = distinct(rows, task.key)
    for _ in range(REFILLS):
        missing = task.k - len(kept)
        if missing <= 0 or any(row.finish is Finish.DEADLINE for row in rows):
            break
        fresh = [fork.take(task.ends) for fork in best_forks(rows, missing)]
        announce(fresh, task)
        run(tree, fresh, task)
        rows = [*rows, *fresh]
        kept = distinct([*kept, *fresh], task.key)
        if not fresh:
            break
    return kept
