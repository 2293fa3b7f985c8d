"""What probably comes next, for nothing: the words that followed the same words before.

Prompt lookup (Saxena, "Prompt Lookup Decoding", 2023; the idea of LLMA, arXiv 2304.04487): where
the draft's last tokens stand in the prompt already, the tokens behind that place are a guess that
costs no model. Code repeats itself, so many are right, the more the longer the match. Where the
prompt has no match, the texts of the workspace are searched in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydraft.completion.guessers.guesser import Kind, Proposal, Proposals
from polydraft.completion.ngram_index import NGramIndex
from polydraft.completion.rows import Choice, Row
from polydraft.completion.tree import DraftTree

LONGEST_MATCH = 8  # tokens looked back; of equally long matches the latest counts
WORKSPACE = 1 << 20  # tokens searched at most: half a millisecond
NEAR, FAR = "prompt", "workspace"

# How often a guess was right at first, by where it was found and by how many tokens matched, those
# guessed before it included. Dev split, qwen2.5-coder 0.5b and 1.5b alike.
FIRST: Mapping[Kind, float] = {
    **{(NEAR, i): p for i, p in enumerate((0.43, 0.64, 0.70, 0.75, 0.8, 0.85, 0.87, 0.92), 1)},
    **{(FAR, i): p for i, p in enumerate((0.10, 0.22, 0.35, 0.43, 0.45, 0.5, 0.7, 0.7), 1)},
}  # fmt: skip

Ids = NDArray[np.integer[Any]]


class Lookup:
    """Guesses from one prompt, from the draft itself and from a workspace."""

    name = "lookup"
    step_ms = 0.0

    def __init__(self, prompt: Sequence[int], workspace: NGramIndex | None = None) -> None:
        self._prompt = np.asarray(prompt, dtype=np.int64)
        self._workspace = workspace

    def propose(self, tree: DraftTree, row: Row) -> Proposals:
        yield from self.after(row.ids)

    def after(self, draft: Sequence[int]) -> Proposals:
        """What may follow the prompt and `draft`; often nothing."""
        ids = np.concatenate([self._prompt, np.asarray(draft, dtype=np.int64)])
        text: Ids = ids
        where = NEAR
        start, matched = last_match(ids, text)
        if not matched and self._workspace is not None:
            text, where = self._texts, FAR
            start, matched = last_match(ids, text)
        if not matched:
            return
        for i, token in enumerate(text[start:]):
            yield Proposal(int(token), (where, min(matched + i, LONGEST_MATCH)))

    def learn(self, fed: Sequence[int], said: Sequence[Choice]) -> None:
        """The text is all there is to know."""

    @cached_property
    def _texts(self) -> Ids:
        """Made on first use, and with the index as it is then: a request is short."""
        assert self._workspace is not None
        return self._workspace.latest(WORKSPACE)


def last_match(ids: Ids, text: Ids) -> tuple[int, int]:
    """Where a text goes on behind the last of the longest matches of `ids`' end, and its length.

    Worked example: ids [.. 5 7] in the text [7 1 5 7 2 7 3] match two tokens at [5 7], so the text
    goes on with the 2, at 4. (0, 0) if not even one token matches; `text` may be `ids` itself.
    """
    if not len(ids) or len(text) < 2:
        return 0, 0
    # Of matches of the last token alone; a number of another type would have the text converted.
    ends = np.flatnonzero(text[:-1] == text.dtype.type(ids[-1]))
    if not len(ends):
        return 0, 0
    matched = 1
    while matched < min(LONGEST_MATCH, len(ids)):
        longer = ends[ends >= matched]
        longer = longer[text[longer - matched] == ids[-1 - matched]]
        if not len(longer):
            break
        ends, matched = longer, matched + 1
    return int(ends[-1]) + 1, matched
