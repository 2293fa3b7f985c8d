"""Where the prompt stays anchored while its user types: a pure state machine, one per document.

In prefix-suffix-middle order the suffix stands behind the prefix, so each character typed would
push the suffix on and have it computed again. Instead the prompt keeps the place where the cursor
first stood, its anchor, and what has been typed since goes behind the middle token. The anchor
moves on a jump, on an edit elsewhere, and when much has been typed; that last move is best made
in idle time (`reanchor_due`), and is forced only at twice that amount.
"""

from __future__ import annotations

from dataclasses import dataclass

from polydraft.lsp_server.documents import word_before

DUE_LINES = 2
DUE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Anchor:
    """The text before the anchor and the text behind the cursor, which must both stay as is."""

    head: str
    suffix: str


def fresh_anchor(prefix: str, suffix: str) -> tuple[int, Anchor]:
    """Anchor at the cursor, or at the beginning of the identifier that the cursor stands in.

    The half-typed name then stands whole behind the middle token.
    """
    offset = len(prefix) - len(word_before(prefix))
    return offset, Anchor(prefix[:offset], suffix)


def next_anchor(state: Anchor | None, prefix: str, suffix: str) -> tuple[int, Anchor]:
    """The anchor (an offset into `prefix`) for a request, and the state for the next one."""
    if state is None or state.suffix != suffix or not prefix.startswith(state.head):
        return fresh_anchor(prefix, suffix)
    if _typed_more_than(state, prefix, 2):
        return fresh_anchor(prefix, suffix)
    return len(state.head), state


def reanchor_due(state: Anchor, prefix: str) -> bool:
    """Whether enough was typed that idle time should be used to anchor anew."""
    return _typed_more_than(state, prefix, 1)


def _typed_more_than(state: Anchor, prefix: str, times: int) -> bool:
    typed = prefix[len(state.head) :]
    return len(typed) > times * DUE_CHARACTERS or typed.count("\n") >= times * DUE_LINES
