"""Calls of the model that are under way for one client, and which of them may still serve.

A user types on while the model drafts. Were each key to begin anew, a fast typist would see no
draft before a pause; so a call goes on while what is typed may be how its drafts begin, and the
newest request joins it. Its likeliest draft, as far as it has come, tells early on whether that
hope is in vain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from polydraft.completion.types import Completion, Deadline, Draft
from polydraft.lsp_server.draft_cache import Place, still_holds
from polydraft.lsp_server.event_loop import keep, promise
from polydraft.lsp_server.model_pair import InUse


@dataclass(frozen=True, slots=True)
class Found:
    """The drafts of a call in the engine's order, None for one that does not fit the document.

    So draft i of what a pair's small model found and draft i of what became of it stay together.
    """

    drafts: tuple[Draft | None, ...]

    @property
    def fitting(self) -> tuple[Draft, ...]:
        return tuple(draft for draft in self.drafts if draft is not None)


@dataclass(eq=False, slots=True)
class Flight:
    """One call for `k` drafts at a place; made and used on the event loop's thread.

    `ahead`: it was begun in idle time, for a place where the user may come to. `text` is how far
    its likeliest draft has come and `known` are drafts that are finished. `early` are a pair's
    drafts before the large model has looked, and `final` those after. `news` is done with the next
    of all that, and at the end; `offered` with `early` or at the end; `landed` at the end.
    """

    uri: str
    place: Place
    k: int
    in_use: InUse
    ahead: bool = False
    tell_first: Callable[[Draft], None] | None = None
    launched_at: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    deadline: Deadline = Deadline()
    text: str = ""
    known: Sequence[Draft] = ()
    early: Found | None = None
    final: Found | None = None
    news: asyncio.Future[None] = field(default_factory=promise)
    offered: asyncio.Future[None] = field(default_factory=promise)
    landed: asyncio.Future[None] = field(default_factory=promise)
    began: bool = False  # set by the engine's thread
    completion: Completion | None = None
    error: BaseException | None = None
    job: Future[tuple[Found, Completion]] | None = None

    def hear(self, text: str) -> None:
        self.text = text
        self._tell()

    def hear_first(self, draft: Draft) -> None:
        self.known = (draft,)
        self._tell()

    def hear_early(self, found: Found) -> None:
        self.early, self.known = found, found.fitting
        keep(self.offered)
        self._tell()

    def land(
        self, found: Found | None, completion: Completion | None, error: BaseException | None
    ) -> None:
        self.final, self.completion, self.error = found, completion, error
        self._tell()
        keep(self.offered)
        keep(self.landed)

    def is_hopeless(self, place: Place) -> bool:
        """Whether what is known of its drafts goes on in another way than the user does."""
        typed = place.prefix[len(self.place.prefix) :]
        if self.known:
            return all(still_holds(draft, self.place, place) is None for draft in self.known)
        return not (typed.startswith(self.text) or self.text.startswith(typed))

    def _tell(self) -> None:
        keep(self.news)
        self.news = promise()

    def may_serve(self, place: Place) -> bool:
        """Whether drafts of this call may be drafts for a place."""
        return self.place.leads_to(place) or (self.ahead and place.leads_to(self.place))


class Flights:
    """The calls under way, by document: at most one that somebody waits for, and one ahead."""

    def __init__(self) -> None:
        self._of: dict[str, list[Flight]] = {}

    def __contains__(self, flight: Flight) -> bool:
        return flight in self._of.get(flight.uri, ())

    def of(self, uri: str) -> tuple[Flight, ...]:
        return tuple(self._of.get(uri, ()))

    def add(self, flight: Flight) -> None:
        self._of.setdefault(flight.uri, []).append(flight)

    def remove(self, flight: Flight) -> None:
        """From now on the call's drafts are its own request's alone."""
        if flight in self:
            self._of[flight.uri].remove(flight)
            if not self._of[flight.uri]:
                del self._of[flight.uri]

    def all(self) -> tuple[Flight, ...]:
        return tuple(flight for flights in self._of.values() for flight in flights)

    def behind(self, uri: str, place: Place, k: int) -> Flight | None:
        """The call at work whose drafts may begin with what was typed since, to come here."""
        for flight in self._of.get(uri, ()):
            waits = flight.ahead and not flight.began
            if not waits and flight.k >= k and flight.place.leads_to(place):
                return flight
        return None
