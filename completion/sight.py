"""What a model says behind prefixes of drafts: whatever it has not seen yet goes into one pass.

Drafts of one prompt are a tree; equal beginnings are fed once. A prefix is a tuple of the draft's
token ids, `()` the prompt itself. The last tokens of the prompt may be left to the first pass
(`tail`), so that catching up costs no pass of its own. Nothing is taken back here: tokens that were
rejected stay unused in the cache until `DraftTree.keep_only` leaves just the path that was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from polydraft.completion.rows import ALTERNATIVES, Choice, Row, choices_of, log_partition
from polydraft.completion.tree import DraftTree
from polydraft.completion.watch import Prefix, Watch


@dataclass(frozen=True, slots=True)
class View:
    """The next-token distribution behind a prefix; `logits` [V] where they were kept."""

    choice: Choice
    logits: torch.Tensor | None = None
    log_partition: float = 0.0  # nats

    def logprob(self, token: int) -> float:
        """Nats."""
        if token in self.choice.tokens:
            return self.choice.logprobs[self.choice.tokens.index(token)]
        assert self.logits is not None
        return float(self.logits[token]) - self.log_partition


class Sight:
    """One model's views in one request."""

    def __init__(
        self,
        tree: DraftTree,
        watch: Watch,
        tail: Sequence[int] = (),
        restrict: Callable[[torch.Tensor], torch.Tensor] = lambda logits: logits,
        count: int = ALTERNATIVES,
    ) -> None:
        """`restrict` [V] -> [V] bans tokens behind the prompt (`Task.restrict`), where `watch`
        has its say as well; `count` tokens
        of each distribution are listed in its choice."""
        self.tree = tree
        self._watch = watch
        self._tail = list(tail)  # of the prompt, not fed yet
        self._tail_slots: list[int] = []
        self._restrict = restrict
        self._count = count
        self._slots: dict[Prefix, int] = {}  # of each prefix's last token
        self._views: dict[Prefix, View] = {}

    def seed(self, rows: Iterable[Row], logits: torch.Tensor) -> None:
        """Take over what a drafter has seen in the same tree; logits [V] behind the prompt."""
        assert not self._tail
        self._views[()] = self._view(logits[None])[0]
        for row in rows:
            for fed, slot in enumerate(row.slots, 1):
                prefix = (*row.ids[:fed],)
                self._slots[prefix] = slot
                if fed < len(row.seen):
                    self._views.setdefault(prefix, View(row.seen[fed]))

    def behind(self, ids: Sequence[int]) -> View | None:
        return self._views.get(tuple(ids))

    def unseen(self, drafts: Iterable[Sequence[int]]) -> int:
        """How many tokens a look at them would feed."""
        prefixes = {(*ids[:end],) for ids in drafts for end in range(1, len(ids) + 1)}
        return len(self._tail) + len(prefixes - self._slots.keys())

    def look(self, drafts: Iterable[Sequence[int]]) -> None:
        """One pass over every prefix of `drafts` that was not fed; none if all were."""
        tokens, paths = list(self._tail), []
        first = self.tree.next_slot
        for _ in tokens:
            paths.append(list(self._tail_slots))
            self._tail_slots.append(first + len(paths) - 1)
        skipped = max(0, len(tokens) - 1)  # nobody asks what follows inside of the prompt
        fed: list[Prefix] = [()] if tokens else []
        self._tail = []
        for ids in drafts:
            for end in range(1, len(ids) + 1):
                prefix = (*ids[:end],)
                if prefix not in self._slots:
                    paths.append(self._tail_slots + self.slots(prefix[:-1]))
                    self._slots[prefix] = first + len(tokens)
                    tokens.append(prefix[-1])
                    fed.append(prefix)
        if tokens:
            self._watch.foresee(fed)
            logits = self.tree.feed(torch.tensor(tokens), paths, logits_from=skipped)
            begin = int(() in fed)  # it stands first
            logits = torch.cat(
                [
                    *(self._restrict(row)[None] for row in logits[:begin]),
                    self._watch.constrain(fed[begin:], logits[begin:]),
                ]
            )
            self._views.update(zip(fed, self._view(logits), strict=True))

    def slots(self, ids: Sequence[int]) -> list[int]:
        """The slots of a prefix's tokens, as far as they were fed, without the prompt's tail."""
        ends = range(1, len(ids) + 1)
        return [self._slots[prefix] for end in ends if (prefix := (*ids[:end],)) in self._slots]

    def path(self, ids: Sequence[int]) -> list[int]:
        """The same with the tail: all slots behind the tree's root."""
        return self._tail_slots + self.slots(ids)

    def _view(self, logits: torch.Tensor) -> list[View]:
        """logits [R, V] -> R views."""
        partition = log_partition(logits)
        found = choices_of(logits, partition, self._count)
        return [View(*each) for each in zip(found, logits, partition.log.tolist(), strict=True)]
