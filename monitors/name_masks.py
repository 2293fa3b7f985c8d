"""From names that are possible to the tokens that may come next, whatever tokens cut them into.

The rule (Agrawal et al., arXiv 2306.10763, section 3.2), with s what is left of a possible name:

    1. a token that is a beginning of s, or all of it, may come; where masks are canonical, of the
       beginnings only the one that the tokenizer itself would cut off;
    2. so may a token that begins with all of s and goes on with a character that ends a name;
    3. where s is empty, any token that begins with such a character may come, and special tokens:
       the name, and with it the draft, may end there.

A model knows names as the tokenizer cuts them: `s` for `seconds` it takes for the beginning of
something else, and where a mask only makes that dear it goes on as such (`sleeves`).

Everything is in bytes: a token may hold a part of a character, and a name may be cut inside of one.
A byte of 0x80 and more goes on with a name unless the character that it begins, whole in the same
token, cannot stand in one: what is not known to end a name does not.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

_SETS = 512  # masks that are remembered


class Spelling(Protocol):
    """What is needed of a tokenizer."""

    @property
    def specials(self) -> Mapping[str, int]: ...

    def __len__(self) -> int: ...

    def token_bytes(self, index: int) -> bytes: ...

    def encode(self, text: str) -> Sequence[int]: ...


class NameMasks:
    """Of one vocabulary; built once, by one walk over it."""

    def __init__(self, tokenizer: Spelling, extra: str = "", behind: bytes = b"") -> None:
        """`extra`: characters of names beside letters, digits and `_`, e.g. `$`.

        With `behind`, an operator, these are the tokens that begin with it, a name or a part of
        one behind it in the same token.
        """
        self._run = re.compile(rb"[A-Za-z0-9_%b]*" % re.escape(extra.encode()))
        self._whole = whole = _Table()
        self._ending = ending = _Table()
        self._size = len(tokenizer)
        self._tokenizer = tokenizer
        self._behind = behind
        self._firsts: dict[bytes, frozenset[int] | None] = {}
        specials = set(tokenizer.specials.values())
        for index in range(len(tokenizer)):
            spelled = tokenizer.token_bytes(index)
            if index in specials or not spelled.startswith(behind):
                continue
            spelled = spelled[len(behind) :]
            end = self.name_length(spelled)
            if not spelled or (behind and (end == 0 or spelled[:1].isdigit())):
                continue
            if end == len(spelled):
                whole.ids[spelled].append(index)
            else:
                ending.ids[spelled[:end]].append(index)
        if not behind:
            ending.ids[b""] += sorted(specials)
        self._cached = lru_cache(_SETS)(self._tokens)
        self._cached_others = lru_cache(_SETS)(self._others)

    def tokens(
        self, names: frozenset[str], typed: bytes = b"", canonical: bool = True
    ) -> torch.Tensor:
        """Ids [n], ascending, of the tokens that may follow `typed`, the beginning of a name."""
        return self._cached(names, typed, canonical)

    def others(self, names: frozenset[str], canonical: bool = True) -> torch.Tensor:
        """Ids [n], ascending, of the tokens that begin no name of these, nor all of one."""
        return self._cached_others(names, canonical)

    def name_length(self, text: bytes) -> int:
        """How many of the first bytes may belong to one name."""
        at = self._run.match(text).end()  # type: ignore[union-attr]  # it may be empty
        while at < len(text) and text[at] >= 0x80:
            size = _size(text[at])
            char = text[at : at + size].decode("utf-8", "ignore")
            if char and not f"a{char}".isidentifier():
                break
            at = min(at + (size if char else 1), len(text))
            at = self._run.match(text, at).end()  # type: ignore[union-attr]
        return at

    def _others(self, names: frozenset[str], canonical: bool) -> torch.Tensor:
        allowed = torch.zeros(
            int(self._starts[-1]) + 1 if len(self._starts) else 0, dtype=torch.bool
        )
        tokens = self.tokens(names, b"", canonical)
        allowed[tokens[tokens < len(allowed)]] = True
        return self._starts[~allowed[self._starts]]

    @cached_property
    def _starts(self) -> torch.Tensor:
        """Ids [n], ascending, of the tokens that begin with what may stand in a name."""
        named = (ids for part, ids in self._ending.ids.items() if part)
        ids = sorted(chain(*self._whole.ids.values(), *named))
        return torch.tensor(ids, dtype=torch.long)

    def _tokens(self, names: frozenset[str], typed: bytes, canonical: bool) -> torch.Tensor:
        spelled = map(str.encode, names)
        rests = {name[len(typed) :] for name in spelled if name.startswith(typed)}
        firsts = {rest: self._first(rest) if canonical else None for rest in rests}
        parts = {rest for rest in rests if rest}
        for rest, first in firsts.items():
            if first is None:
                parts |= {rest[:end] for end in range(1, len(rest))}
        found = [self._whole.array(part) for part in parts if part in self._whole.ids]
        found += [self._ending.array(rest) for rest in rests if rest in self._ending.ids]
        cut_off = frozenset().union(*(first for first in firsts.values() if first is not None))
        found.append(np.array(sorted(cut_off), np.int64))
        possible = np.zeros(self._size, np.bool_)  # many times faster than sorting ids
        for ids in found:
            possible[ids] = True
        return torch.from_numpy(possible.nonzero()[0])

    def _first(self, rest: bytes) -> frozenset[int] | None:
        """The token that the tokenizer itself cuts off, if it is one of ours; None: it cannot tell,
        as this is no text."""
        if rest not in self._firsts:
            self._firsts[rest] = self._cut_off(self._behind + rest)
        return self._firsts[rest]

    def _cut_off(self, text: bytes) -> frozenset[int] | None:
        try:
            ids = self._tokenizer.encode(text.decode())
        except UnicodeDecodeError:
            return None
        spelled = self._tokenizer.token_bytes(ids[0]) if ids else b""
        ours = text.startswith(spelled) and len(spelled) > len(self._behind)
        return frozenset(ids[:1] if ours else ())


class _Table:
    """Token ids by what they spell; as arrays once they were asked for."""

    def __init__(self) -> None:
        self.ids: dict[bytes, list[int]] = defaultdict(list)
        self._arrays: dict[bytes, NDArray[np.int64]] = {}

    def array(self, part: bytes) -> NDArray[np.int64]:
        if part not in self._arrays:
            self._arrays[part] = np.array(self.ids[part], np.int64)
        return self._arrays[part]


def _size(first: int) -> int:
    """Bytes of the UTF-8 character that begins with this one; 1 inside of one."""
    return 4 if first >= 0xF0 else 3 if first >= 0xE0 else 2 if first >= 0xC0 else 1
