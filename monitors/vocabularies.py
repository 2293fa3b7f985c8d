"""Which tokenizers' words are known; what costs time to import is imported when it is needed."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, proxy

from polydraft.monitors.grammar import Grammar

if TYPE_CHECKING:  # they import torch
    from polydraft.completion.protocols import Tokenizer
    from polydraft.monitors.vocabulary import Words


class Vocabularies:
    """The `Words` of tokenizers, for as long as those live. Thread-safe.

    Making them takes a third of a second, on a thread beside who asked.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._words: WeakKeyDictionary[Tokenizer, dict[Grammar, Future[Words]]]
        self._words = WeakKeyDictionary()

    def words(self, tokenizer: Tokenizer, grammar: Grammar) -> Future[Words]:
        with self._lock:
            known = self._words.setdefault(tokenizer, {})
            future = known.get(grammar)
            if future is None:
                future = known[grammar] = Future()
                making = threading.Thread(
                    target=_make, args=(future, tokenizer, grammar), name="words", daemon=True
                )
                making.start()
        return future


def _make(future: Future[Words], tokenizer: Tokenizer, grammar: Grammar) -> None:
    from polydraft.monitors.vocabulary import Words

    try:
        words = Words(proxy(tokenizer), grammar)  # which may go before its words
        words.prepare()
        future.set_result(words)
    except BaseException as error:  # who asks is told
        future.set_exception(error)
