"""Rows to their ends, in lockstep; and what becomes of them there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from polydraft.completion.drafters.task import Key, Task
from polydraft.completion.guessers.guesser import Guess
from polydraft.completion.meter import OutOfTime
from polydraft.completion.rows import Row, choices, step
from polydraft.completion.tree import DraftTree
from polydraft.completion.types import Finish


def greedy_row(tree: DraftTree, logits: torch.Tensor, task: Task, guesses: int = 0) -> Row:
    """The most probable token at each step; logits [V] behind the prompt."""
    row = Row("greedy")
    row.take_best(choices(logits[None])[0], task.ends)
    announce([row], task)
    run(tree, [row], task, guesses)
    return row


def run(tree: DraftTree, rows: Sequence[Row], task: Task, guesses: int = 0) -> None:
    """Run every row greedily to its end; on a passed deadline they end where they are.

    At most `guesses` guessed tokens are checked for a row in a pass: they save passes and change
    nothing else.
    """
    running = [row for row in rows if row.finish is None]
    try:
        while running:
            step_and_learn(tree, running, task, _guesses(tree, running, task, guesses))
            announce(running, task)
            running = [row for row in running if row.finish is None]
    except OutOfTime:
        out_of_time(running)


def step_and_learn(
    tree: DraftTree, rows: Sequence[Row], task: Task, guesses: Sequence[Guess]
) -> None:
    """One pass over unfinished rows and their guesses, of which the guesser hears what it gave."""
    pending = [row.ids[-1] for row in rows]
    said = step(tree, rows, task.ends, task.watch, [guess.tokens for guess in guesses])
    for token, guess, choices_ in zip(pending, guesses, said, strict=True):
        task.ahead.learn(token, guess, choices_)


def _guesses(tree: DraftTree, rows: Sequence[Row], task: Task, most: int) -> list[Guess]:
    """A guess for each row, one after the other, none beyond the longest draft."""
    found: list[Guess] = []
    for row in rows:
        room = min(most, task.ends.max_tokens - len(row.ids) - 1)
        beside = len(rows) - 1 + sum(len(guess.tokens) for guess in found)
        found.append(task.ahead.guess(tree, row, room, beside))
    return found


def announce(rows: Iterable[Row], task: Task) -> None:
    """Tell of the rows that have just finished."""
    for row in rows:
        if row.finish is not None:
            task.on_row(row)


def out_of_time(rows: Iterable[Row]) -> None:
    """End the unfinished rows where they are."""
    for row in rows:
        if row.finish is None:
            row.finish = Finish.DEADLINE


def distinct(rows: Iterable[Row], key: Key) -> list[Row]:
    """The first row of each visible text, in order."""
    kept: dict[str, Row] = {}
    for row in rows:
        assert row.finish is not None
        text = key(row.ids, row.finish)
        if text is not None:
            kept.setdefault(text, row)
    return list(kept.values())


def greedy_first(rows: list[Row]) -> list[Row]:
    """The first row stays: it was shown first. The others follow by mean log-probability (nats)."""
    return [*rows[:1], *sorted(rows[1:], key=lambda row: -row.mean_logprob)]
