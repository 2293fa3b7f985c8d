"""Whether two models speak of the same tokens, so that one can judge what the other drafts.

The large model of a pair is fed the small one's token ids, so each id must stand for the same bytes
in both, and for a special token in both or in neither. Which text is cut into which tokens (merges)
is of no concern, since only the small model's tokenizer cuts. Rows of logits beyond the tokenizer's
ids are padding: they are no part of the vocabulary, and Qwen's sizes differ in them.
"""

from __future__ import annotations

from typing import NamedTuple

from polydraft.models.errors import PairError
from polydraft.models.registry import Registry
from polydraft.models.tokenizer import ModelTokenizer


class Token(NamedTuple):
    """What an id stands for."""

    spelling: bytes
    special: bool  # an added token, which no user text yields

    def __str__(self) -> str:
        return f"{'special ' if self.special else ''}{self.spelling!r}"


def check_pair(
    small: ModelTokenizer,
    large: ModelTokenizer,
    names: tuple[str, str],  # of the small and of the large model, for the message
    registry: Registry | None = None,  # whose families may be proposed
) -> None:
    """Raises `PairError`, which shows the smallest id that means something else in both."""
    index = first_difference(small, large)
    if index is None:
        return

    def shown(name: str, tokenizer: ModelTokenizer) -> str:
        token = token_of(tokenizer, index)
        return f"{token} in {name}" if token else f"no token in {name}"

    sizes = f" (both have {len(small):,} ids)" if len(small) == len(large) else ""
    text = (
        f"{names[0]} and {names[1]} cannot work as a pair, since their tokenizers differ{sizes}:"
        f" id {index} is {shown(names[0], small)}, {shown(names[1], large)}."
        f" {_advice(names[0], registry)}"
    )
    raise PairError(text, index)


def first_difference(small: ModelTokenizer, large: ModelTokenizer) -> int | None:
    """The smallest id that stands for different tokens, or for one in only one of the two."""
    if small.byte_level == large.byte_level:
        # Pieces spell bytes alike, so ids of the same piece need no look at their bytes.
        differ = small.vocabulary.items() ^ large.vocabulary.items()
        differ |= small.specials.items() ^ large.specials.items()
        candidates = sorted({index for _, index in differ})
    else:
        candidates = list(range(max(len(small), len(large))))
    return next((i for i in candidates if token_of(small, i) != token_of(large, i)), None)


def token_of(tokenizer: ModelTokenizer, index: int) -> Token | None:
    """None for an id that no token has."""
    piece = tokenizer.piece(index)
    if piece is None:
        return None
    return Token(tokenizer.token_bytes(index), tokenizer.specials.get(piece) == index)


def _advice(small: str, registry: Registry | None) -> str:
    if registry is None:
        return "Choose a large model of the small one's family."
    if small in registry.models and (larger := registry.larger_siblings(registry.get(small))):
        return f"Large models that go with {small}: {', '.join(larger)}."
    pairs = [
        f"{spec.name} with {' or '.join(larger)}"
        for spec in registry
        if (larger := registry.larger_siblings(spec))
    ]
    return f"Choose both from one family: {'; '.join(pairs)}."
