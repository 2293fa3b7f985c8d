"""What monitors need of one tokenizer for one language, built once and shared by all requests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from polydraft.monitors.grammar import Grammar
from polydraft.monitors.name_masks import NameMasks, Spelling


class Words:
    """Names as tokens, with an operator before them in the same token or without."""

    def __init__(self, tokenizer: Spelling, grammar: Grammar) -> None:
        self.operators = sorted(grammar.operators, key=len, reverse=True)
        self._tokenizer = tokenizer
        self._extra = grammar.extra
        self._behind: dict[str, NameMasks] = {}

    @cached_property
    def names(self) -> NameMasks:
        return NameMasks(self._tokenizer, self._extra)

    def behind(self, operator: str) -> NameMasks:
        """Tokens that hold an operator and the beginning of a name."""
        if operator not in self._behind:
            self._behind[operator] = NameMasks(self._tokenizer, self._extra, operator.encode())
        return self._behind[operator]

    def operator_of(self, tokens: Sequence[int]) -> str | None:
        """The operator that the first of these begins with that holds one and more behind it."""
        for token in tokens:
            spelled = self._tokenizer.token_bytes(token)
            for operator in self.operators:
                sign = operator.encode()
                if spelled.startswith(sign) and self.names.name_length(spelled[len(sign) :]):
                    return operator
        return None
