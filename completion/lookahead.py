"""What probably comes next, for nothing: the words that followed the same words before.

Prompt lookup (Saxena, "Prompt Lookup Decoding", 2023; the idea of LLMA, arXiv 2304.04487): where
the draft's last tokens stand in the prompt already, the tokens behind that place are a guess that
costs no model. Fed along with the pending token, they are checked in the same pass, and each that
the exact model would have chosen itself saves a pass. Code repeats itself, so many are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_LONGEST_MATCH = 4  # tokens looked back; of equally long matches the latest counts


class Lookahead:
    """Guesses from one prompt and from the draft itself; without a prompt it has none."""

    def __init__(self, prompt: Sequence[int] = ()) -> None:
        self._prompt = np.asarray(prompt, dtype=np.int64)

    def guess(self, draft: Sequence[int], most: int) -> list[int]:
        """At most `most` tokens that may follow the prompt and `draft`; often none."""
        if most < 1 or not len(self._prompt):
            return []
        ids = np.concatenate([self._prompt, np.asarray(draft, dtype=np.int64)])
        if len(ids) < 2:
            return []
        ends = np.flatnonzero(ids[:-1] == ids[-1])  # of earlier occurrences of the last token
        for back in range(1, _LONGEST_MATCH):
            longer = ends[ends >= back]
            longer = longer[ids[longer - back] == ids[-1 - back]]
            if not len(longer):
                break
            ends = longer
        if not len(ends):
            return []
        start = int(ends[-1]) + 1
        found: list[int] = ids[start : start + most].tolist()
        return found
