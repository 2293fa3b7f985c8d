"""Drafts that are still right after some typing: answers that cost no model call.

An entry holds the text around the cursor for which its drafts were made. A later request is
answered from it when what was typed since is how some of its drafts begin, and when accepting what
remains of such a draft would give the very document that the draft stood for:

    made at    f|         suffix ""     draft "(a, b):"    document "f(a, b):"
    typed "("  f(|)       suffix ")"    the editor closed the bracket
    answer     "a, b):", replacing the ")"                 document "f(a, b):"

All drafts that match are returned, so the others stay alive while one is typed through. Recent
places answer together, so a draft that was made while another was typed through joins in.

An entry may also say that the model has nothing for a place, which then need not be asked again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from polydraft.completion.types import Draft
from polydraft.lsp_server.auto_close import LONGEST, holds, may_close


@dataclass(frozen=True, slots=True)
class Place:
    """The whole text before and behind a cursor."""

    prefix: str
    suffix: str

    def leads_to(self, other: Place) -> bool:
        """Whether typing at this place gives the other one, or the two are one.

        Typing may close brackets (the editor's doing) and type over what closes one.
        """
        if not other.prefix.startswith(self.prefix):
            return False
        typed = other.prefix[len(self.prefix) :]
        for typed_over in range(min(len(typed), len(self.suffix), LONGEST) + 1):
            added = len(other.suffix) - (len(self.suffix) - typed_over)
            if not 0 <= added <= LONGEST:
                continue
            if other.suffix[added:] != self.suffix[typed_over:]:
                continue
            if holds(typed, self.suffix[:typed_over]) and may_close(typed, other.suffix[:added]):
                return True
        return False

    def accepting(self, draft: Draft) -> Place:
        """The place behind a draft once it is accepted here."""
        return Place(*draft.accepted(self.prefix, self.suffix))


@dataclass(frozen=True, slots=True)
class _Entry:
    place: Place
    k: int
    drafts: tuple[Draft, ...]

    @property
    def size(self) -> int:
        return len(self.place.prefix) + len(self.place.suffix)


class DraftCache:
    """The latest entries of one client; the least recently used go first.

    `entries` bounds how many places are held and `characters` the text kept with them.
    """

    def __init__(self, entries: int = 128, characters: int = 16_000_000) -> None:
        self._most_entries = entries
        self._most_characters = characters
        self._entries: OrderedDict[tuple[str, str, str], _Entry] = OrderedDict()
        self._characters = 0

    def __len__(self) -> int:
        return len(self._entries)

    def store(self, path: str, prefix: str, suffix: str, k: int, drafts: Sequence[Draft]) -> None:
        """Keep the drafts made at a place for a request of `k`, in place of older ones there.

        No drafts mean that the model has none: see `knows`. Those that take indentation back hold
        as well where the user has taken it back.
        """
        for depth in {draft.outdent for draft in drafts} - {0}:
            shallower = prefix[: len(prefix) - depth]
            if (path, shallower, suffix) not in self._entries:
                there = [replace(each, outdent=0) for each in drafts if each.outdent == depth]
                self._put(path, shallower, suffix, k, there)
        self._put(path, prefix, suffix, k, drafts)

    def _put(self, path: str, prefix: str, suffix: str, k: int, drafts: Sequence[Draft]) -> None:
        self._drop((path, prefix, suffix))
        entry = _Entry(Place(prefix, suffix), k, tuple(drafts))
        self._entries[path, prefix, suffix] = entry
        self._characters += entry.size
        while len(self._entries) > self._most_entries or (
            self._characters > self._most_characters and len(self._entries) > 1
        ):
            self._drop(next(iter(self._entries)))

    def lookup(self, path: str, prefix: str, suffix: str, k: int) -> tuple[Draft, ...]:
        """Up to `k` drafts that still hold at this place, cut to what is not typed yet.

        Those made nearest to it come first. Entries made for fewer than `k` drafts are passed
        over, since a model could give more.
        """
        here = Place(prefix, suffix)
        usable = [
            (key, entry)
            for key, entry in self._entries.items()
            if key[0] == path and entry.k >= k and prefix.startswith(entry.place.prefix)
        ]
        usable.sort(key=lambda item: len(item[1].place.prefix), reverse=True)
        found: dict[tuple[str, int, int], Draft] = {}
        for key, entry in usable:
            before = len(found)
            for draft in entry.drafts:
                if (left := still_holds(draft, entry.place, here)) is not None:
                    found.setdefault((left.text, left.replace, left.outdent), left)
            if len(found) > before:
                self._entries.move_to_end(key)
        return tuple(found.values())[:k]

    def knows(self, path: str, prefix: str, suffix: str, k: int) -> bool:
        """Whether a model was asked for `k` drafts at this very place; it may have had none."""
        entry = self._entries.get((path, prefix, suffix))
        return entry is not None and entry.k >= k

    def discard(self, path: str, prefix: str, suffix: str) -> None:
        """Forget what was made at a place."""
        self._drop((path, prefix, suffix))

    def clear(self) -> None:
        self._entries.clear()
        self._characters = 0

    def _drop(self, key: tuple[str, str, str]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._characters -= entry.size


def still_holds(draft: Draft, made_at: Place, now: Place) -> Draft | None:
    """The draft as it stands after some typing, cut to what is not typed yet; None if it is not
    what was typed."""
    if not now.prefix.startswith(made_at.prefix):
        return None
    typed = now.prefix[len(made_at.prefix) :]
    if not draft.text.startswith(typed) or (typed and draft.outdent):
        return None  # typed at another depth it would be another line
    rest = draft.text[len(typed) :]
    replaced = _replace_now(made_at.suffix, now.suffix, draft.replace, typed, rest)
    # A rest that equals what it replaces would change nothing.
    if replaced is None or not rest or rest == now.suffix[:replaced]:
        return None
    parts = (replace(part, end=part.end - len(typed)) for part in draft.parts)
    left = tuple(part for part in parts if part.end > 0)
    return replace(draft, text=rest, replace=replaced, parts=left)


def _replace_now(was: str, now: str, replaced: int, typed: str, rest: str) -> int | None:
    """How much of the suffix `now` the rest of a draft replaces; None if it no longer fits.

    The draft replaced the first `replaced` characters of the suffix `was`. Since then the user may
    have typed over some of these, and the editor may have closed brackets that the user opened.
    """
    for typed_over in range(replaced + 1):
        added = len(now) - (len(was) - typed_over)
        if not 0 <= added <= LONGEST or now[added:] != was[typed_over:]:
            continue
        if added == 0 or (may_close(typed, now[:added]) and holds(rest, now[:added])):
            return replaced - typed_over + added
    return None
