"""A client's calls of the model: who is answered by which.

A request is answered from the draft cache, else by a call under way that may still serve, else by
a call of its own. Where a pair is in use, clients that want drafts streamed are answered with what
the small model found, and told what the large one made of it (`updates.py`). All of this runs on
the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError

from polydraft.completion.types import Cancelled, Completion, Draft
from polydraft.lsp_server.anchor import Anchor, next_anchor
from polydraft.lsp_server.asks import Answer, Trigger, answered
from polydraft.lsp_server.debounce import Debounce
from polydraft.lsp_server.documents import Document
from polydraft.lsp_server.draft_cache import DraftCache
from polydraft.lsp_server.event_loop import either
from polydraft.lsp_server.flights import Flight, Flights, Found
from polydraft.lsp_server.idle import IdleTime
from polydraft.lsp_server.launching import ContextAdder, Launcher, MonitoringFor, prompted
from polydraft.lsp_server.messages import Call
from polydraft.lsp_server.turns import Asked, Turn, Turns
from polydraft.lsp_server.updates import Remember, Updates
from polydraft.lsp_server.worker import Worker
from polydraft.lsp_server.workspace import Workspaces
from polydraft.lsp_server.workspace_ngrams import IndexFor

logger = logging.getLogger(__name__)

# Seconds for which a call goes on whose request the editor took back because of a key.
_GRACE = 0.5


class Calls:
    """The calls of one client. `called` is told of each if the client wants to know; `remember`
    of answers that the client is told later."""

    def __init__(
        self,
        worker: Worker,
        workspaces: Workspaces,
        context_adder: ContextAdder,
        index_for: Callable[[Document], IndexFor],
        monitoring_for: MonitoringFor,
        called: Callable[[Call], None],
        remember: Remember,
    ) -> None:
        self._workspaces = workspaces
        self._remember = remember
        self._cache = DraftCache()
        self._flights = Flights()
        self._anchors: dict[str, Anchor] = {}
        self._turns = Turns()
        self._launcher = Launcher(
            self, worker, workspaces, context_adder, index_for, monitoring_for, called, self
        )
        self._idle = IdleTime(
            workspaces, self._turns, self._anchors, self._cache, self._flights, self._launcher
        )
        self._updates = Updates(self._turns, self._cache, remember)
        self._debounce = Debounce()

    # --- what becomes of them ---

    def turn(self, uri: str) -> Turn:
        """A new request has come: the one that was the newest is answered without drafts."""
        return self._turns.begin(uri)

    def typed(self) -> None:
        """A key has changed a document."""
        self._debounce.key(asyncio.get_running_loop().time())

    def forget_drafts(self) -> None:
        """Drop all drafts, also those in work, except for the requests that wait for them."""
        self._cache.clear()
        for flight in self._flights.all():
            self._flights.remove(flight)
            if flight.ahead:
                self._end([flight])

    def forget_anchors(self) -> None:
        """Another model has no prompt in its cache."""
        self._anchors.clear()

    def drop(self, uri: str) -> None:
        """A document was closed: its calls end, its requests are answered without drafts."""
        self.end(uri)
        self._turns.drop(uri)
        self._updates.drop(uri)
        self._idle.drop(uri)
        self._anchors.pop(uri, None)

    def end(self, uri: str) -> None:
        """End all calls for a document."""
        self._end(self._flights.of(uri))
        self._launcher.cancel(uri)

    def taken_back(self, turn: Turn, text: str) -> None:
        """The editor cancelled the newest request; it does so on a key, too, before it asks again.

        Where text was typed at the call's place the call goes on for a moment. `text` is all that
        a prompt could be made of now.
        """
        uri = turn.uri
        if not self._turns.is_newest(turn):
            return
        for flight in self._flights.of(uri):
            prefix, suffix = flight.place.prefix, flight.place.suffix
            grown = len(text) > len(prefix) + len(suffix)
            if not (grown and text.startswith(prefix) and text.endswith(suffix)):
                self._end([flight])

        def unless_asked_again() -> None:
            if self._turns.is_newest(turn):
                self._end(self._flights.of(uri))

        if self._flights.of(uri):
            asyncio.get_running_loop().call_later(_GRACE, unless_asked_again)

    def _end(self, flights: Iterable[Flight]) -> None:
        """Cancel calls and forget what came of them; who waits for one is answered."""
        for flight in flights:
            if flight in self._flights:
                self._flights.remove(flight)
                self._cache.discard(flight.uri, flight.place.prefix, flight.place.suffix)
            if flight.job is not None:
                flight.job.cancel()

    # --- answers ---

    async def answer(self, asked: Asked) -> Answer:
        """Answer a request whose turn it is; raises what the call for it raised."""
        self._turns.take(asked)
        answer = await self._answer(asked)
        if self._streaming(asked) and self._turns.is_newest(asked.turn):
            self._updates.answered(asked, answer)
        return answer

    async def _answer(self, asked: Asked) -> Answer:
        turn, place, k = asked.turn, asked.place, asked.request.k
        uri, streaming = turn.uri, self._streaming(asked)
        # Who insists wants all drafts, not the first of those in work; so does who joins a call,
        # and who is told the first before the answer.
        patient = asked.ask.trigger is Trigger.INVOKED or streaming
        tell_first = self._first_teller(asked)
        while not turn.over.done():
            drafts = self._cache.lookup(uri, place.prefix, place.suffix, k)
            flight = self._flights.behind(uri, place, k)
            more = flight is not None and not flight.ahead and not (streaming and flight.early)
            if flight is not None and more and patient and drafts:
                if tell_first is not None:
                    tell_first(drafts[0])
                    tell_first = None
                await self._ready(flight, asked)  # the others are on their way
            elif drafts or self._has_nothing(asked):
                self._end([each for each in self._flights.of(uri) if not each.may_serve(place)])
                self._idle.look_ahead(uri)
                return answered(turn.serial, drafts, from_cache=True)
            elif flight is not None and not flight.is_hopeless(place):
                patient = True
                await either(flight.news, turn.over)
            else:
                return await self._call(asked)
        return Answer()

    def _has_nothing(self, asked: Asked) -> bool:
        """Whether the model was asked here and had nothing; who insists has it asked again."""
        uri, request = asked.turn.uri, asked.request
        return asked.ask.trigger is Trigger.AUTOMATIC and self._cache.knows(
            uri, request.prefix, request.suffix, request.k
        )

    async def _call(self, asked: Asked) -> Answer:
        """Have the engine answer; without drafts where it was overtaken."""
        turn, request = asked.turn, asked.request
        self._end(self._flights.of(turn.uri))
        if asked.ask.trigger is Trigger.AUTOMATIC and not await self._time_to_call(asked):
            return Answer()
        models = self._workspaces.of(asked.ask.document.home).models
        in_use = models.in_use
        if in_use is None:
            models.remind()
            return Answer()
        offset, anchor = next_anchor(self._anchors.get(turn.uri), request.prefix, request.suffix)
        self._anchors[turn.uri] = anchor
        flight = Flight(turn.uri, asked.place, request.k, in_use)
        flight.tell_first = self._first_teller(asked)
        self._flights.add(flight)
        self._launcher.launch(flight, asked.ask, prompted(request, offset, anchor))
        await self._ready(flight, asked)
        if turn.over.done():
            return Answer()
        if flight.completion is not None:
            return answered(turn.serial, flight.completion.drafts, stats=flight.completion.stats)
        if flight.early is not None and not flight.landed.done():
            return answered(turn.serial, flight.early.fitting)
        if flight.error is not None and not isinstance(flight.error, (Cancelled, CancelledError)):
            raise flight.error
        return Answer()

    async def _time_to_call(self, asked: Asked) -> bool:
        """Wait for the next key where it is near; whether no newer request has come meanwhile."""
        wait = self._debounce.wait(asked.request.prefix, asyncio.get_running_loop().time())
        if wait:
            await asyncio.wait({asked.turn.over}, timeout=wait)
        return not asked.turn.over.done()

    async def _ready(self, flight: Flight, asked: Asked) -> None:
        """Wait for a call to have what the client is to be answered with."""
        wanted = flight.offered if self._streaming(asked) else flight.landed
        await either(wanted, asked.turn.over)

    def _streaming(self, asked: Asked) -> bool:
        """Whether the client is told drafts before they are final."""
        return asked.ask.on_draft is not None and self._workspaces.options.stream

    def _first_teller(self, asked: Asked) -> Callable[[Draft], None] | None:
        """What tells the editor the first draft, if it wants that and still waits."""
        turn, deliver = asked.turn, asked.ask.on_draft
        if deliver is None or not self._streaming(asked):
            return None

        def tell(draft: Draft) -> None:
            if self._turns.is_newest(turn):
                named = (f"{turn.serial}.first", draft)
                self._remember(asked.ask, Answer((named,)))  # it may be taken at once
                deliver(named)

        return tell

    # --- what is heard of calls (see `polydraft.lsp_server.launching.Tower`) ---

    def first(self, flight: Flight, draft: Draft) -> None:
        self._keep(flight, [draft])
        self._has_drafted(flight)
        flight.hear_first(draft)
        if flight.tell_first is not None:
            flight.tell_first(draft)

    def early(self, flight: Flight, found: Found) -> None:
        if found.fitting:
            self._keep(flight, found.fitting)
            flight.hear_early(found)

    def landed(self, flight: Flight, result: tuple[Found, Completion] | BaseException) -> None:
        uri, place = flight.uri, flight.place
        found, completion, error = None, None, None
        if isinstance(result, BaseException):
            error = result
        else:
            found, completion = result
        if flight in self._flights:
            self._flights.remove(flight)
            if completion is None or (not completion.drafts and flight.deadline.expired):
                self._cache.discard(uri, place.prefix, place.suffix)
            else:
                self._cache.store(uri, place.prefix, place.suffix, flight.k, completion.drafts)
        if completion is not None and completion.drafts:
            self._has_drafted(flight)
        flight.land(found, completion, error)
        asked = completion is not None and bool(completion.stats.escalated)
        self._idle.served(flight, asked=asked)
        if completion is not None:
            self._pass_on(flight, completion.stats.notice)
            # An answer that was just given is on its way to the client: this comes behind it.
            asyncio.get_running_loop().call_soon(self._updates.improved, flight)
            self._idle.look_ahead(uri)
        else:
            if flight.early is not None and not isinstance(error, (Cancelled, CancelledError)):
                logger.warning("the large model failed behind an answer", exc_info=error)
            self._idle.catch_up(uri)

    def _has_drafted(self, flight: Flight) -> None:
        """There is a draft; how long the first one took counts."""
        if not flight.ahead and not flight.known:
            self._debounce.drafted(asyncio.get_running_loop().time() - flight.launched_at)

    def _keep(self, flight: Flight, drafts: Sequence[Draft]) -> None:
        """Serve drafts that are not final, if the client can be told of better ones later."""
        final = not flight.in_use.paired or self._workspaces.options.stream
        if final and flight in self._flights:
            place = flight.place
            self._cache.store(flight.uri, place.prefix, place.suffix, flight.k, drafts)

    def _pass_on(self, flight: Flight, notice: str) -> None:
        """Tell the user what a pair has to say, if it is still in use."""
        for workspace in self._workspaces:
            in_use = workspace.models.in_use
            if notice and in_use is not None and in_use.completer is flight.in_use.completer:
                workspace.models.notice(notice)
