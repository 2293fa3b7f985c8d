"""Token healing: a half-typed word is completed in the tokens that the model would have used.

A prompt that ends in `.na` ends in a token that the model hardly ever saw before `me`: the text
`.name` has a token of its own. So the last token typed is held back from the prompt, and the
draft's first token must begin with its bytes; what was typed is taken off the draft again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from polydraft.completion.prompt import Prompt
from polydraft.completion.protocols import Tokenizer


class Vocabulary:
    """The ordinary tokens of a vocabulary, sorted by their bytes; built once for a model."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        special = set(tokenizer.specials.values())
        spelled = ((tokenizer.token_bytes(i), i) for i in range(len(tokenizer)) if i not in special)
        self._sorted = sorted(pair for pair in spelled if pair[0])

    def starting_with(self, prefix: bytes) -> tuple[int, ...]:
        """The ids of all tokens whose bytes begin with `prefix`."""
        start = bisect_left(self._sorted, (prefix, -1))
        found = []
        for spelling, index in self._sorted[start:]:
            if not spelling.startswith(prefix):
                break
            found.append(index)
        return tuple(found)


def hold_back(
    prompt: Prompt, tokenizer: Tokenizer, vocabulary: Vocabulary
) -> tuple[Prompt, str, tuple[int, ...] | None]:
    """-> the prompt without the last token typed, that token's text, and the first tokens allowed.

    Nothing is held back (and None allows every token) where nothing was typed since the anchor, at
    a line end, and inside of a character.
    """
    if len(prompt.ids) <= max(1, prompt.middle_at):
        return prompt, "", None
    spelling = tokenizer.token_bytes(prompt.ids[-1])
    try:
        text = spelling.decode()
    except UnicodeDecodeError:
        return prompt, "", None
    allowed = vocabulary.starting_with(spelling)
    if text.endswith(("\n", "\r")) or not allowed:
        return prompt, "", None
    return replace(prompt, ids=prompt.ids[:-1]), text, allowed


class Healed:
    """A tokenizer whose decoded drafts lack the text that stands in the document already."""

    def __init__(self, tokenizer: Tokenizer, held_back: str) -> None:
        self._tokenizer = tokenizer
        self._held_back = held_back

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids).removeprefix(self._held_back)
