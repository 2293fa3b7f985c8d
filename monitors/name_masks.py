"""From names that are possible to the tokens that may come next, whatever tokens cut them into.

The rule (Agrawal et al., arXiv 2306.10763, section 3.2), with s what is left of a possible name:

    1. a token that is a beginning of s, or all of it, may come;
    2. so may a token that begins with all of s and goes on with a character that ends a name;
    3. where s is empty, any token that begins with such a character may come, and special tokens:
       the name, and with it the draft, may end there.

Everything is in bytes: a token may hold a part of a character, and a name may be cut inside of one.
A byte of 0x80 and more goes on with a name unless the character that it begins, whole in the same
token, cannot stand in one: what is not known to end a name does not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_SETS = 512  # masks that are remembered


class Spelling(Protocol):
    """What is needed of a tokenizer."""

    @property
    def specials(self) -> Mapping[str, int]: ...

    def __len__(self) -> int: ...

    def token_bytes(self, index: int) -> bytes: ...


class NameMasks:
    """Of one vocabulary; built once, by one walk over it."""

    def __init__(self, tokenizer: Spelling, extra: str = "") -> None:
        """`extra`: characters of names beside letters, digits and `_`, e.g. `$`."""
        self._name_bytes = _PLAIN | frozenset(extra.encode())
        whole: dict[bytes, list[int]] = defaultdict(list)
        ending: dict[bytes, list[int]] = defaultdict(list)
        specials = set(tokenizer.specials.values())
        for index in range(len(tokenizer)):
            spelled = tokenizer.token_bytes(index)
            if index in specials or not spelled:
                continue
            end = self.name_length(spelled)
            if end == len(spelled):
                whole[spelled].append(index)
            else:
                ending[spelled[:end]].append(index)
        ending[b""] += sorted(specials)
        self._whole = _arrays(whole)
        self._ending = _arrays(ending)
        self._cached = lru_cache(_SETS)(self._tokens)

    def tokens(self, names: frozenset[str], typed: bytes = b"") -> torch.Tensor:
        """Ids [n], ascending, of the tokens that may follow `typed`, the beginning of a name."""
        return self._cached(names, typed)

    def name_length(self, text: bytes) -> int:
        """How many of the first bytes may belong to one name."""
        at = 0
        while at < len(text):
            if text[at] in self._name_bytes:
                at += 1
            elif text[at] < 0x80:
                break
            else:
                size = _size(text[at])
                char = text[at : at + size].decode("utf-8", "ignore")
                if char and not f"a{char}".isidentifier():
                    break
                at += size if char else 1
        return min(at, len(text))

    def _tokens(self, names: frozenset[str], typed: bytes) -> torch.Tensor:
        spelled = map(str.encode, names)
        rests = {name[len(typed) :] for name in spelled if name.startswith(typed)}
        parts = {rest[:end] for rest in rests for end in range(1, len(rest) + 1)}
        found = [self._whole[part] for part in parts if part in self._whole]
        found += [self._ending[rest] for rest in rests if rest in self._ending]
        if not found:
            return torch.empty(0, dtype=torch.long)
        return torch.from_numpy(np.unique(np.concatenate(found)))


def _arrays(ids: Mapping[bytes, list[int]]) -> dict[bytes, NDArray[np.int64]]:
    return {part: np.array(each, np.int64) for part, each in ids.items()}


def _size(first: int) -> int:
    """Bytes of the UTF-8 character that begins with this one; 1 inside of one."""
    return 4 if first >= 0xF0 else 3 if first >= 0xE0 else 2 if first >= 0xC0 else 1
