"""Where the prompt stays anchored while its user types: a pure state machine, one per document.

In prefix-suffix-middle order the suffix stands behind the prefix, so each character typed would
push the suffix on and have it computed again. Instead the prompt keeps the place where the cursor
first stood, its anchor, and what has been typed since goes behind the middle token. Brackets that
the editor closes by itself behind the cursor are left out of the prompt: the suffix stays what it
was at the anchor, and the drafts close what was opened (`auto_close.before_closers`). The anchor
moves on a jump, on an edit elsewhere, and when much has been typed; that last move is best made
in idle time (`reanchor_due`), and is forced only at twice that amount.
"""

from __future__ import annotations

from dataclasses import dataclass

from polydraft.completion.prompt import out_of_indentation
from polydraft.lsp_server.auto_close import LONGEST, may_close
from polydraft.lsp_server.documents import word_before

# Each move costs the keys and values of the whole suffix. A middle of some lines is what models
# have seen in training; much more would not fit the prompt's share for it.
DUE_LINES = 6
DUE_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Anchor:
    """The text before the anchor and the text behind the cursor, which must both stay as is.

    Behind the cursor there may come what the editor adds to close what is typed.
    """

    head: str
    suffix: str

    def closers(self, prefix: str, suffix: str) -> str | None:
        """What the editor has added behind the cursor; None if this anchor does not hold there."""
        added = len(suffix) - len(self.suffix)
        if not 0 <= added <= LONGEST or not prefix.startswith(self.head):
            return None
        closers = suffix[:added]
        if suffix[added:] != self.suffix or not may_close(prefix[len(self.head) :], closers):
            return None
        return closers


def fresh_anchor(prefix: str, suffix: str) -> tuple[int, Anchor]:
    """Anchor at the cursor, or at the beginning of the identifier that the cursor stands in.

    The half-typed name then stands whole behind the middle token, and so does the indentation of a
    line that holds nothing else.
    """
    offset = out_of_indentation(prefix, len(prefix) - len(word_before(prefix)))
    return offset, Anchor(prefix[:offset], suffix)


def next_anchor(state: Anchor | None, prefix: str, suffix: str) -> tuple[int, Anchor]:
    """The anchor (an offset into `prefix`) for a request, and the state for the next one.

    The prompt's suffix is the state's, without what the editor closed.
    """
    if state is None or state.closers(prefix, suffix) is None:
        return fresh_anchor(prefix, suffix)
    if _typed_more_than(state, prefix, 2):
        return fresh_anchor(prefix, suffix)
    return len(state.head), state


def reanchor_due(state: Anchor, prefix: str, suffix: str) -> bool:
    """Whether enough was typed that idle time should be used to anchor anew.

    Not within brackets that the editor closed: that suffix would not last.
    """
    return state.closers(prefix, suffix) == "" and _typed_more_than(state, prefix, 1)


def _typed_more_than(state: Anchor, prefix: str, times: int) -> bool:
    typed = prefix[len(state.head) :]
    return len(typed) > times * DUE_CHARACTERS or typed.count("\n") >= times * DUE_LINES
