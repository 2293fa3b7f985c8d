"""Counts of token n-grams over the texts of a workspace, each of which can change or go.

Glossary
    gram     1 to 4 consecutive token ids of one text
    key      a 64-bit hash of a gram, made from its context's key and its last id; among ten million
             grams two share a key with a probability of 3e-6, and then their counts add up
    run      sorted keys [N] with counts [N], never changed: an edit is a small run of its own, with
             negative counts for what is gone, and runs of like size are merged (a log-structured
             merge, O'Neil et al. 1996, in memory)

Worked example: the text [a, b, a] has the grams a 2, b 1, ab 1, ba 1, aba 1. As a context, the
count of `a` is 2 though only one `b` follows: the end of a text is a successor like any other.

Memory: 12 bytes a distinct gram, of which source code has 0.7 to 1.5 a token, and 4 bytes a token
for the texts themselves, by which a text's grams can be taken out again exactly: 13 to 23 MB for a
million tokens, the less the more repetitive the code (`make bench-ngrams`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Counts = NDArray[np.int64]
Ids = NDArray[np.uint32]

LONGEST = 4  # tokens of a gram
MAX_BYTES = 64 << 20
_RATIO = 4  # a run is merged with the one before unless that is so many times as large
_SEED = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)  # MurmurHash3's finaliser
_SHIFT = np.uint64(33)


def extended(keys: Keys, ids: Keys) -> Keys:
    """The keys [...] of the grams that `ids` [...] make of the contexts with these keys."""
    mixed: Keys = keys * _SEED + ids
    for factor in _FACTORS:
        mixed ^= mixed >> _SHIFT
        mixed *= factor
    mixed ^= mixed >> _SHIFT
    return mixed


def gram_keys(ids: Sequence[int] | Ids) -> Keys:
    """The keys of all grams of a text of L ids, about 4 L of them, in no useful order."""
    tokens = np.asarray(ids, dtype=np.uint64)
    keys = np.full(len(tokens), _SEED)
    grams = []
    for order in range(min(LONGEST, len(tokens))):
        keys = extended(keys[: len(tokens) - order], tokens[order:])
        grams.append(keys)
    return np.concatenate(grams) if grams else keys


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    keys: Keys  # [N], sorted, distinct
    counts: NDArray[np.int32]  # [N]

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.counts.nbytes

    def __len__(self) -> int:
        return len(self.keys)

    def merged(self, other: _Run) -> _Run:
        """Both runs' counts added up; what comes to 0 is left out."""
        at = self.keys.searchsorted(other.keys)
        known = self.keys[np.minimum(at, len(self) - 1)] == other.keys
        counts = self.counts.copy()
        counts[at[known]] += other.counts[known]
        new = ~known
        keys = np.insert(self.keys, at[new], other.keys[new])
        counts = np.insert(counts, at[new], other.counts[new])
        left = counts != 0
        return _Run(keys, counts) if left.all() else _Run(keys[left], counts[left])


class GramCounts:
    """How often each gram occurs, for up to 2**31 tokens. `add` and `remove` are exact inverses."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []  # the largest first

    @property
    def nbytes(self) -> int:
        return sum(run.nbytes for run in self._runs)

    def __len__(self) -> int:
        """At least the number of distinct grams; equal to it after `compact`."""
        return sum(map(len, self._runs))

    def add(self, ids: Sequence[int] | Ids) -> None:
        """Count a text's grams once more."""
        self.change((), ids)

    def remove(self, ids: Sequence[int] | Ids) -> None:
        """Count a text's grams once less."""
        self.change(ids, ())

    def change(self, old: Sequence[int] | Ids, new: Sequence[int] | Ids) -> None:
        """Count the grams of `old` once less and those of `new` once more."""
        less, more = gram_keys(old), gram_keys(new)
        keys, where = np.unique(np.concatenate((less, more)), return_inverse=True)
        counts = np.bincount(where[len(less) :], minlength=len(keys))
        counts -= np.bincount(where[: len(less)], minlength=len(keys))
        left = counts != 0
        if left.any():
            self._runs.append(_Run(keys[left], counts[left].astype(np.int32)))
            self._settle(_RATIO)

    def compact(self) -> None:
        """Merge all runs."""
        while len(self._runs) > 1:
            self._merge_last()

    def count(self, keys: Keys) -> Counts:
        """The counts [...] of the grams with these keys [...]."""
        total: Counts = np.zeros(keys.shape, dtype=np.int64)
        for run in self._runs:
            at = np.minimum(run.keys.searchsorted(keys), len(run) - 1)
            total += np.where(run.keys[at] == keys, run.counts[at], 0)
        return total

    def _settle(self, ratio: int) -> None:
        while len(self._runs) > 1 and len(self._runs[-1]) * ratio >= len(self._runs[-2]):
            self._merge_last()

    def _merge_last(self) -> None:
        small, large = self._runs.pop(), self._runs.pop()
        merged = large.merged(small)
        if len(merged):
            self._runs.append(merged)


class NGramIndex:
    """The grams of named texts. Not thread-safe: it belongs to one worker thread.

    When it would take more than `max_bytes`, the texts that were put longest ago go first, whole:
    so all counts are exact, those of the texts that are in it.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._counts = GramCounts()
        self._texts: OrderedDict[str, Ids] = OrderedDict()  # the latest put last
        self._tokens = 0

    @property
    def nbytes(self) -> int:
        return self._counts.nbytes + 4 * self._tokens

    @property
    def tokens(self) -> int:
        return self._tokens

    @property
    def full(self) -> bool:
        """Whether another text would soon drive one out."""
        return self.nbytes > 0.9 * self._max_bytes

    def __contains__(self, name: str) -> bool:
        return name in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __getitem__(self, name: str) -> Ids:
        """The ids of a text; KeyError if there is none of that name."""
        return self._texts[name]

    def latest(self, tokens: int) -> Ids:
        """Whole texts behind each other, about as many tokens as asked; the last put ends last."""
        found: list[Ids] = []
        for text in reversed(self._texts.values()):
            if tokens <= 0:
                break
            found.append(text)
            tokens -= len(text)
        return np.concatenate(found[::-1]) if found else np.empty(0, dtype=np.uint32)

    def put(self, name: str, ids: Sequence[int] | Ids) -> None:
        """Count a text, in place of the one of that name. What an edit left alone costs nothing."""
        new = np.array(ids, dtype=np.uint32)
        old = self._texts.pop(name, np.empty(0, dtype=np.uint32))
        self._texts[name] = new
        self._tokens += len(new) - len(old)
        self._counts.change(*_differing(old, new))
        if self.nbytes > self._max_bytes:
            self._counts.compact()
            self._evict()

    def drop(self, name: str) -> None:
        """Take a text out, if it is there."""
        old = self._texts.pop(name, None)
        if old is not None:
            self._tokens -= len(old)
            self._counts.remove(old)

    def following(self, contexts: Sequence[Sequence[int]], tokens: Sequence[int]) -> Counts:
        """-> counts [C, 1 + T]: of each context (1 to 3 ids), then of it followed by each token."""
        keys = np.full(len(contexts), _SEED)
        for i, context in enumerate(contexts):
            for token in context:
                keys[i : i + 1] = extended(keys[i : i + 1], np.array([token], dtype=np.uint64))
        grams = extended(keys[:, None], np.array(tokens, dtype=np.uint64)[None])
        return self._counts.count(np.concatenate((keys[:, None], grams), axis=1))

    def _evict(self) -> None:
        while self.nbytes > self._max_bytes and self._texts:
            # About so many tokens are too many; one in ten more, so that the next text has room.
            surplus = self._tokens * (1 - 0.9 * self._max_bytes / self.nbytes)
            kept = self._tokens - surplus
            while self._texts and self._tokens > kept:
                self.drop(next(iter(self._texts)))
            self._counts.compact()


def _differing(old: Ids, new: Ids) -> tuple[Ids, Ids]:
    """The parts of two texts that differ, each with what a gram reaches of its surroundings.

    Grams of the surroundings alone are in both, so their counts cancel out.
    """
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    first = max(0, start - (LONGEST - 1))
    rest = max(0, end - (LONGEST - 1))
    return old[first : len(old) - rest], new[first : len(new) - rest]


def _common(one: Ids, other: Ids) -> int:
    """The length of the longest common prefix."""
    shorter = min(len(one), len(other))
    differs = np.flatnonzero(one[:shorter] != other[:shorter])
    return int(differs[0]) if len(differs) else shorter
