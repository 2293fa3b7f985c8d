"""What becomes of drafts: seen, taken, still there later. Numbers only: no text leaves here.

A draft counts as seen when it was on display for more than half a second: what is gone before was
no rejection. Of what was taken, the characters are followed through the user's edits, since what is
deleted again a minute later was no help. Methods are called in the order of the editor's messages;
`now` is in seconds of one clock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace

SEEN_S = 0.5
LATER_S = (30.0, 300.0)
_OPEN = 64  # showings that may still be told more about


@dataclass(frozen=True, slots=True)
class About:
    """Whose draft it was; `large` is empty without a large model, `language` an LSP language id."""

    model: str
    large: str
    drafter: str
    language: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One draft on display; `taken` of its `characters`. `kept` is how many of those still stood
    after 30 s and after 5 min; None: not known, e.g. because the document was closed before."""

    about: About
    shown_ms: int
    characters: int
    taken: int = 0
    kept: tuple[int | None, int | None] = (None, None)


@dataclass(slots=True)
class Followed:
    """Taken text, as the spans of a document (offsets in code points) where it still stands."""

    uri: str
    spans: list[tuple[int, int]]
    due: list[float]
    awaited: tuple[int, str] | None = None  # the edit that puts the text in is still to come
    kept: list[int | None] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(end - start for start, end in self.spans)


@dataclass(slots=True)
class _Showing:
    uri: str
    about: About
    offset: int  # where `text` goes, which is what is still to come of the draft
    text: str
    characters: int
    since: float | None  # None: not on display now
    shown_s: float = 0.0
    taken: int = 0
    parts: dict[str, int] = field(default_factory=dict)  # taken of each id that it went by
    followed: list[Followed] = field(default_factory=list)

    def pause(self, now: float) -> None:
        if self.since is not None:
            self.shown_s += now - self.since
            self.since = None


class Acceptance:
    """`tell` hears of each draft once, when no more will be known of it."""

    def __init__(self, tell: Callable[[Outcome], None]) -> None:
        self._tell = tell
        self._showings: dict[str, _Showing] = {}  # by draft id, the latest last
        self._current: _Showing | None = None
        self._following: list[_Showing] = []  # those of which something was taken

    def shown(
        self, draft_id: str, uri: str, offset: int, text: str, about: About, now: float
    ) -> None:
        """A draft is on display, at an offset of a document."""
        showing = self._current
        if showing is not None and _goes_on(showing, uri, offset, text):
            showing.offset, showing.text = offset, text
            showing.since = now if showing.since is None else showing.since
        else:
            self._end_current(now)
            showing = _Showing(uri, about, offset, text, len(text), now)
            self._current = showing
        self._showings[draft_id] = showing
        while len(self._showings) > _OPEN:
            del self._showings[next(iter(self._showings))]

    def hidden(self, draft_id: str, now: float) -> None:
        """It is no longer on display; typing may bring its rest back under another id."""
        if (showing := self._showings.get(draft_id)) is not None:
            showing.pause(now)

    def taken(self, draft_id: str, length: int | None, document: str, now: float) -> None:
        """The user has taken a part of a draft so far, or (None) all of it; `document` as it is."""
        showing = self._showings.get(draft_id)
        if showing is None:
            return
        before = showing.parts.get(draft_id, 0)
        length = len(showing.text) if length is None else min(length, len(showing.text))
        if length <= before:
            return
        showing.pause(now)
        showing.parts[draft_id] = length
        showing.taken = min(showing.taken + length - before, showing.characters)
        start, new = showing.offset + before, showing.text[before:length]
        followed = Followed(showing.uri, [], [now + later for later in LATER_S], (start, new))
        _begin(followed, document)
        showing.followed.append(followed)
        if showing not in self._following:
            self._following.append(showing)
        if showing is self._current and showing.taken >= showing.characters:
            self._current = None

    def edited(self, uri: str, old: str, new: str, now: float) -> None:
        """A document has changed in one place."""
        here = [each for each in self._followed() if each.uri == uri]
        if not here:
            return
        self.look(now)
        start = _common(old, new)
        tail = _common(old[start:][::-1], new[start:][::-1])
        for followed in here:
            if followed.awaited is not None:
                _begin(followed, new)
                continue
            followed.spans = moved(followed.spans, start, len(old) - tail, len(new) - tail)

    def look(self, now: float) -> float | None:
        """Count what is due; when to look again, in seconds from now (None: nothing is awaited)."""
        for followed in self._followed():
            while followed.due and followed.due[0] <= now:
                followed.due.pop(0)
                followed.kept.append(None if followed.awaited else followed.count)
        for showing in [each for each in self._following if not any(f.due for f in each.followed)]:
            if showing is not self._current:
                self._finish(showing)
        return min((f.due[0] - now for f in self._followed() if f.due), default=None)

    def closed(self, uri: str, now: float) -> None:
        """A document was closed: nothing more will be known."""
        if self._current is not None and self._current.uri == uri:
            self._end_current(now)
        for showing in [each for each in self._following if each.uri == uri]:
            self._finish(showing)

    def close(self, now: float) -> None:
        self._end_current(now)
        for showing in tuple(self._following):
            self._finish(showing)

    def _followed(self) -> list[Followed]:
        return [followed for showing in self._following for followed in showing.followed]

    def _end_current(self, now: float) -> None:
        showing, self._current = self._current, None
        if showing is None:
            return
        showing.pause(now)
        if not showing.taken and showing.shown_s > SEEN_S:
            self._tell(_outcome(showing))

    def _finish(self, showing: _Showing) -> None:
        self._following.remove(showing)
        if showing is self._current:
            self._current = None
        self._tell(_outcome(showing))


def _begin(followed: Followed, document: str) -> None:
    """Follow the text from here on, if it is in the document."""
    assert followed.awaited is not None
    start, text = followed.awaited
    if document.startswith(text, start):
        followed.spans, followed.awaited = [(start, start + len(text))], None


def _outcome(showing: _Showing) -> Outcome:
    outcome = Outcome(showing.about, round(1000 * showing.shown_s), showing.characters)
    if not showing.taken:
        return outcome
    counts = [
        [f.kept[at] if at < len(f.kept) else None for f in showing.followed]
        for at in range(len(LATER_S))
    ]
    first, last = (None if None in each else sum(filter(None, each)) for each in counts)
    return replace(outcome, taken=showing.taken, kept=(first, last))


def _goes_on(showing: _Showing, uri: str, offset: int, text: str) -> bool:
    """Whether a draft is what remains of another, of which the user has typed or taken the rest."""
    gone = offset - showing.offset
    return uri == showing.uri and 0 <= gone < len(showing.text) and showing.text[gone:] == text


def moved(
    spans: list[tuple[int, int]], start: int, end: int, new_end: int
) -> list[tuple[int, int]]:
    """Where spans of a text are after start..end was replaced by text that ends at `new_end`."""
    by = new_end - end
    left = [(a, min(b, start)) for a, b in spans]
    right = [(max(a, end) + by, b + by) for a, b in spans]
    return sorted((a, b) for a, b in left + right if a < b)


def _common(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginnings."""
    length = min(len(one), len(other))
    return bisect_left(range(length), True, key=lambda at: one[: at + 1] != other[: at + 1])
