"""Drafts that an analysis overtook: what proved false is taken back, and the draft goes on there.

A step does not wait longer for an analyser than its deadline (`monitor.Constraint.late`). The
answer is used all the same: it tells at the end which token should not have come.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from polydraft.completion.drafters.run import announce, distinct, run
from polydraft.completion.drafters.task import Task
from polydraft.completion.meter import OutOfTime
from polydraft.completion.rows import ALTERNATIVES, Row, choices, look_once
from polydraft.completion.tree import DraftTree
from polydraft.completion.types import Finish


def mend(tree: DraftTree, logits: torch.Tensor, rows: Sequence[Row], task: Task) -> list[Row]:
    """Finished rows -> the same in order, mended; logits [V] behind the prompt, not restricted."""
    found = [_taken_back(row, task) for row in rows]
    broken = [row for row in found if row.finish is None]
    if not broken:
        return list(rows)
    for row in broken:
        if not row.ids:
            row.take_best(choices(task.restrict(logits)[None])[0], task.ends)
    pending = [row for row in broken if row.finish is None and len(row.slots) < len(row.ids)]
    try:
        for row, choice in zip(
            pending,
            look_once(tree, pending, ALTERNATIVES, task.watch) if pending else [],
            strict=True,
        ):
            row.take_best(choice, task.ends)
    except OutOfTime:
        for row in pending:
            row.finish = Finish.DEADLINE
    announce(broken, task)
    run(tree, broken, task)
    return distinct(found, task.key)


def _taken_back(row: Row, task: Task) -> Row:
    """The row itself if all of it stands, else an unfinished one up to its first false token."""
    at = task.watch.first_false(row.ids)
    if at is None:
        return row
    # The last token's logits are gone: it is fed once more.
    return Row(
        row.drafter, row.ids[:at], row.logprobs[:at], row.seen[:at], row.slots[: max(0, at - 1)]
    )


def false_last(rows: Sequence[Row], task: Task) -> list[Row]:
    """Rows that cannot be mended any more: those with a false name come behind the others."""
    return sorted(rows, key=lambda row: task.watch.first_false(row.ids) is not None)
