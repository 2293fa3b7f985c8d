"""Which tokenizers' words are known; what costs time to import is imported when it is needed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from polydraft.monitors.grammar import Grammar

if TYPE_CHECKING:  # they import torch
    from polydraft.completion.protocols import Tokenizer
    from polydraft.monitors.vocabulary import Words


class Vocabularies:
    """The `Words` of tokenizers, for as long as those live. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._words: WeakKeyDictionary[Tokenizer, dict[Grammar, Words]] = WeakKeyDictionary()

    def words(self, tokenizer: Tokenizer, grammar: Grammar) -> Words:
        with self._lock:
            known = self._words.setdefault(tokenizer, {})
            if grammar not in known:
                from polydraft.monitors.vocabulary import Words

                known[grammar] = Words(tokenizer, grammar)
            return known[grammar]
