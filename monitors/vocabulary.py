"""What monitors need of one tokenizer for one language, built once and shared by all requests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch

from polydraft.monitors.grammar import Grammar
from polydraft.monitors.name_masks import NameMasks, Spelling

ASSIGNS, CLOSES, SEPARATES = b"=", b")", b","
_COMPARES = b"=="


class Words:
    """Names as tokens, with an operator before them in the same token or without."""

    def __init__(self, tokenizer: Spelling, grammar: Grammar) -> None:
        self.operators = grammar.longest_first
        self._tokenizer = tokenizer
        self._extra = grammar.extra
        self._behind: dict[str, NameMasks] = {}
        self._beginning: dict[bytes, torch.Tensor] = {}

    def prepare(self) -> None:
        """Make all that most requests need."""
        for masks in (self.names, self.behind(" "), *map(self.behind, self.operators)):
            masks.others(frozenset())
        for sign in (ASSIGNS, CLOSES, SEPARATES):
            self.beginning_with(sign)

    @cached_property
    def names(self) -> NameMasks:
        return NameMasks(self._tokenizer, self._extra)

    def behind(self, operator: str) -> NameMasks:
        """Tokens that hold an operator and the beginning of a name."""
        if operator not in self._behind:
            self._behind[operator] = NameMasks(self._tokenizer, self._extra, operator.encode())
        return self._behind[operator]

    def wrong_starts(self, names: frozenset[str], attached: bool) -> torch.Tensor:
        """Ids [n] of the tokens that begin a name which is none of these behind a space, and if
        `attached` also without one."""
        spaced = self.behind(" ").others(names)
        return torch.cat([self.names.others(names), spaced]) if attached else spaced

    def begins(self, sign: bytes, tokens: Sequence[int]) -> bool:
        """Whether one of these tokens begins with `sign`."""
        return any(self._tokenizer.token_bytes(token).startswith(sign) for token in tokens)

    def beginning_with(self, sign: bytes) -> torch.Tensor:
        """Ids [n] of the tokens that begin with `sign`, and not with `==`."""
        if sign not in self._beginning:
            spelled = map(self._tokenizer.token_bytes, range(len(self._tokenizer)))
            found = [
                index
                for index, token in enumerate(spelled)
                if token.startswith(sign) and not token.startswith(_COMPARES)
            ]
            self._beginning[sign] = torch.tensor(found, dtype=torch.long)
        return self._beginning[sign]

    def operator_of(self, tokens: Sequence[int]) -> str | None:
        """The operator that the first of these begins with that holds one and more behind it."""
        for token in tokens:
            spelled = self._tokenizer.token_bytes(token)
            for operator in self.operators:
                sign = operator.encode()
                if spelled.startswith(sign) and self.names.name_length(spelled[len(sign) :]):
                    return operator
        return None
