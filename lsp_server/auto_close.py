"""What editors close by themselves: brackets and quotes that appear behind the cursor on typing.

    typed "f(["    f([|])    the editor added "])"

Such characters are no news about the document. Drafts that were made without them close what they
open themselves, and then replace them.
"""

from __future__ import annotations

from dataclasses import replace

from polydraft.completion.types import Draft

LONGEST = 8  # characters that are looked for
_CLOSERS = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'", "`": "`"}


def may_close(typed: str, added: str) -> bool:
    """Whether an editor may have written `added` behind the cursor while `typed` was typed.

    Editors differ in what they close, and close less inside of strings.
    """
    return holds("".join(reversed(_open_closers(typed))), added)


def holds(text: str, closers: str) -> bool:
    """Whether the characters of `closers` stand in `text`, in order."""
    characters = iter(text)
    return all(closer in characters for closer in closers)


def before_closers(draft: Draft, added: str) -> Draft | None:
    """A draft made without `added`, for the document in which that stands behind the cursor.

    It replaces what it closes itself. One that closes nothing goes in between; None for one that
    closes a part, or that replaces text behind what it does not close.
    """
    if holds(draft.text, added):
        return replace(draft, replace=draft.replace + len(added))
    if draft.replace or any(closer in draft.text for closer in added):
        return None
    return draft


def _open_closers(typed: str) -> list[str]:
    """What would close the brackets and quotes that `typed` leaves open, outermost first."""
    stack: list[str] = []
    for character in typed:
        if stack and character == stack[-1]:
            stack.pop()
        elif character in _CLOSERS:
            stack.append(_CLOSERS[character])
    return stack
