"""Exact draft rows: greedy continuation of any number of branches in lockstep.

Glossary: a *row* is a draft in progress; its last token is *pending* (chosen, not yet fed); an
*alternative* at depth d is a token that the exact model would also have taken there, with its
log-probability (nats).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch

from polydraft.completion.tree import DraftTree
from polydraft.completion.types import Finish, Origin, SwitchEvent
from polydraft.completion.watch import Watch

ALTERNATIVES = 6  # kept a depth; forks come from them
_BLOCK = 128  # of a vocabulary
_LEAST = -1e6  # stands for the logit of a banned token where it is multiplied by 0

EndRule = Callable[[Sequence[int]], Finish | None]


@dataclass(frozen=True, slots=True)
class Ends:
    """When a draft is over: a stop token, the text's own end (`rule`), or the token limit."""

    stops: frozenset[int]
    max_tokens: int
    rule: EndRule = lambda ids: None

    def of(self, ids: Sequence[int]) -> Finish | None:
        """Why a draft of these tokens is over, or None."""
        found = self.rule(ids)
        if found is None and len(ids) >= self.max_tokens:
            return Finish.LENGTH
        return found


@dataclass(frozen=True, slots=True)
class Choice:
    """The exact model's most probable next tokens at one depth, best first.

    `entropy` is that of the whole distribution, in bits.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    entropy: float = math.nan


def choices(logits: torch.Tensor, count: int = ALTERNATIVES) -> list[Choice]:
    """logits [R, V] -> for each row its `count` most probable next tokens."""
    return choices_of(logits, log_partition(logits), count)


def choices_of(
    logits: torch.Tensor, partition: Partition, count: int = ALTERNATIVES
) -> list[Choice]:
    """The same where the partition function is known."""
    values, indices = top(logits, min(count, logits.shape[-1]))
    values -= partition.log[:, None]
    found = []
    for logprobs, tokens, entropy in zip(
        values.tolist(), indices.tolist(), partition.entropy.tolist(), strict=True
    ):
        possible = sum(value > -math.inf for value in logprobs)  # banned tokens stand last
        found.append(Choice(tuple(tokens[:possible]), tuple(logprobs[:possible]), entropy))
    return found


@dataclass(frozen=True, slots=True)
class Partition:
    """What makes probabilities of logits [R, V]: p = exp(logit - log)."""

    log: torch.Tensor  # [R] nats: the logarithm of the partition function
    entropy: torch.Tensor  # [R] bits


def log_partition(logits: torch.Tensor) -> Partition:
    """logits [R, V] -> their partition function and entropy.

    With p = exp(x - log Z), the entropy is log Z - sum p x: one exponential of each logit serves
    both, and no table of log-probabilities is written.
    """
    highest = logits.amax(-1, keepdim=True)
    weights = (logits - highest).exp_()
    total = weights.sum(-1)
    mean = torch.linalg.vecdot(weights, logits) / total
    if bool(mean.isnan().any()):  # some are banned
        mean = torch.linalg.vecdot(weights, logits.clamp_min(_LEAST)) / total
    log = highest[:, 0] + total.log()
    return Partition(log, ((log - mean) / math.log(2)).clamp_min(0))


def top(values: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """values [R, V] -> the `count` largest of each row and their indices [R, count], as `topk`.

    A vocabulary is cut into blocks: the largest values lie in the blocks of largest maximum, which
    are found at the speed of reading. `topk` over the whole takes five times as long.
    """
    rows, size = values.shape
    whole = size // _BLOCK * _BLOCK
    if count * _BLOCK * 4 > size:
        direct = values.topk(count, -1)
        return direct.values, direct.indices
    blocks = values[:, :whole].view(rows, -1, _BLOCK)
    best = blocks.amax(-1).topk(count, -1).indices  # [R, count] blocks
    inside = (best[..., None] * _BLOCK + torch.arange(_BLOCK)).flatten(1)
    outside = torch.arange(whole, size).expand(rows, -1)
    candidates = torch.cat([inside, outside], 1)
    found = values.gather(1, candidates).topk(count, -1)
    return found.values, candidates.gather(1, found.indices)


@dataclass(slots=True)
class Row:
    """A draft in progress. `ids[i]` was chosen from `seen[i]`; `slots` holds those already fed."""

    drafter: str
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    seen: list[Choice] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    finish: Finish | None = None
    stop_token: int | None = None  # the token that ended it, which is not among the ids
    exact: bool = True  # whether the log-probabilities are the exact model's
    origins: list[Origin] = field(default_factory=list)  # of a pair's row, one a token
    switches: list[SwitchEvent] = field(default_factory=list)
    checked: bool = False  # by the large model of a pair

    @property
    def mean_logprob(self) -> float:
        return sum(self.logprobs) / max(len(self.logprobs), 1)

    def take(self, token: int, logprob: float, choice: Choice, ends: Ends) -> None:
        """Append a token, unless it ends the draft."""
        self.seen.append(choice)
        if token in ends.stops:
            self.finish, self.stop_token = Finish.STOP_TOKEN, token
            return
        self.ids.append(token)
        self.logprobs.append(logprob)
        self.finish = ends.of(self.ids)

    def take_best(self, choice: Choice, ends: Ends) -> None:
        self.take(choice.tokens[0], choice.logprobs[0], choice, ends)

    def fork(self, depth: int, token: int, logprob: float, ends: Ends, drafter: str) -> Row:
        """A new row that shares the first `depth` tokens and takes `token` there."""
        row = Row(
            drafter,
            self.ids[:depth],
            self.logprobs[:depth],
            self.seen[:depth],
            self.slots[:depth],
        )
        row.take(token, logprob, self.seen[depth], ends)
        return row


def look(
    tree: DraftTree,
    rows: Sequence[Row],
    guesses: Sequence[Sequence[int]],
    count: int,
    watch: Watch,
) -> list[list[tuple[int, Choice]]]:
    """One pass: feed each row's pending token and, behind it, the guess for that row.

    -> for each row, behind its pending token and behind each token of its guess: the slot that was
    fed, and the exact model's `count` best next tokens that may come there.
    """
    tokens: list[int] = []
    paths: list[list[int]] = []
    prefixes: list[list[int]] = []
    first = tree.next_slot
    for row, guess in zip(rows, guesses, strict=True):
        path = list(row.slots)
        for token in (row.ids[-1], *guess):
            paths.append(list(path))
            path.append(first + len(tokens))
            tokens.append(token)
        prefixes += [[*row.ids, *guess[:end]] for end in range(len(guess) + 1)]
    watch.foresee(prefixes)
    logits = watch.constrain(prefixes, tree.feed(torch.tensor(tokens), paths))
    seen = iter(enumerate(choices(logits, count), first))
    return [list(islice(seen, 1 + len(guess))) for guess in guesses]


def look_once(tree: DraftTree, rows: Sequence[Row], count: int, watch: Watch) -> list[Choice]:
    """One pass without guesses: what follows each row's pending token, which is fed now."""
    found = []
    for row, ((slot, choice),) in zip(
        rows, look(tree, rows, [()] * len(rows), count, watch), strict=True
    ):
        row.slots.append(slot)
        found.append(choice)
    return found


def accept(row: Row, guess: Sequence[int], seen: Sequence[tuple[int, Choice]], ends: Ends) -> None:
    """Take the exact model's best tokens as far as the guess foresaw them, and one more."""
    for i, (slot, choice) in enumerate(seen):
        row.slots.append(slot)
        row.take_best(choice, ends)
        if row.finish is not None or i == len(guess) or row.ids[-1] != guess[i]:
            return


def step(
    tree: DraftTree,
    rows: Sequence[Row],
    ends: Ends,
    watch: Watch,
    guesses: Sequence[Sequence[int]] = (),
) -> list[list[Choice]]:
    """One pass: each unfinished row takes its most probable next token, or several if guessed.

    -> for each of them, what the exact model said behind its pending token and each guessed one.
    """
    alive = [row for row in rows if row.finish is None]
    if not alive:
        return []
    guesses = guesses or [()] * len(alive)
    found = look(tree, alive, guesses, ALTERNATIVES, watch)
    for row, guess, seen in zip(alive, guesses, found, strict=True):
        accept(row, guess, seen, ends)
    return [[choice for _, choice in seen] for seen in found]
