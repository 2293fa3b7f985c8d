"""Calls of the model that are under way for one client, and which of them may still serve.

A user types on while the model drafts. Were each key to begin anew, a fast typist would see no
draft before a pause; so a call goes on while what is typed may be how its drafts begin, and the
newest request joins it. Its likeliest draft, as far as it has come, tells early on whether that
hope is in vain.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from dataclasses import dataclass, field

from polydraft.completion.types import Completion
from polydraft.lsp_server.draft_cache import Place


def _promise() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


@dataclass(eq=False, slots=True)
class Flight:
    """One call for `k` drafts at a place; made and used on the event loop's thread.

    `ahead`: it was begun in idle time, for a place where the user may come to. `text` is how far
    its likeliest draft has come; `news` is done with the next of it, with the first draft
    (`has_first`), and at the end, when `landed` is done as well.
    """

    uri: str
    place: Place
    k: int
    ahead: bool = False
    text: str = ""
    has_first: bool = False
    news: asyncio.Future[None] = field(default_factory=_promise)
    landed: asyncio.Future[None] = field(default_factory=_promise)
    began: bool = False  # set by the engine's thread
    completion: Completion | None = None
    error: BaseException | None = None
    job: Future[Completion] | None = None

    def hear(self, text: str) -> None:
        self.text = text
        self._tell()

    def hear_first(self) -> None:
        self.has_first = True
        self._tell()

    def land(self, completion: Completion | None, error: BaseException | None) -> None:
        self.completion, self.error = completion, error
        self._tell()
        if not self.landed.done():
            self.landed.set_result(None)

    def contradicts(self, prefix: str) -> bool:
        """Whether the likeliest draft goes on in another way than the user does."""
        typed = prefix[len(self.place.prefix) :]
        return not (typed.startswith(self.text) or self.text.startswith(typed))

    def _tell(self) -> None:
        if not self.news.done():
            self.news.set_result(None)
        self.news = _promise()

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


async def either(one: asyncio.Future[None], other: asyncio.Future[None]) -> None:
    """Wait until one of the two is done."""
    await asyncio.wait({one, other}, return_when=asyncio.FIRST_COMPLETED)
