"""A client's calls of the model: who is answered by which, and what idle time is used for.

A request is answered from the draft cache, else by a call under way that may still serve, else by
a call of its own. All of this runs on the event loop's thread, but for what the worker is given.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

from polydraft.completion.protocols import Completer
from polydraft.completion.types import (
    Cancelled,
    CancelToken,
    Completion,
    Deadline,
    Draft,
    Request,
    Stats,
)
from polydraft.lsp_server.anchor import Anchor, fresh_anchor, next_anchor, reanchor_due
from polydraft.lsp_server.asks import Answer, Ask, Trigger, answered
from polydraft.lsp_server.auto_close import before_closers
from polydraft.lsp_server.documents import Document, with_line_feeds, word_before
from polydraft.lsp_server.draft_cache import DraftCache, Place
from polydraft.lsp_server.flights import Flight, Flights, either
from polydraft.lsp_server.messages import Call, Outcome, Purpose
from polydraft.lsp_server.shared_model import SharedModel
from polydraft.lsp_server.worker import Worker
from polydraft.lsp_server.workspace_ngrams import IndexFor
from polydraft.lsp_server.workspace_settings import WorkspaceSettings

T = TypeVar("T")

# Seconds for which a call goes on whose request the editor took back because of a key.
_GRACE = 0.5
# Seconds without a request until the prompt may be anchored anew: cut short, that would be paid by
# the next request.
_PAUSE = 0.7

ContextAdder = Callable[[Document], Callable[[Request], Request]]
"""Snapshots what surrounds a document; what it returns runs on the engine's thread, adds other
files' text to a request, and raises if the document must not enter a prompt."""


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A request's claim to be its document's newest; `over` is done when it no longer is."""

    uri: str
    serial: int
    over: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Calls:
    """The calls of one client. `called` is told of each if the client wants to know."""

    def __init__(
        self,
        worker: Worker,
        settings: WorkspaceSettings,
        model: SharedModel,
        context_adder: ContextAdder,
        index_for: Callable[[Document], IndexFor],
        called: Callable[[Call], None],
    ) -> None:
        self._worker = worker
        self._settings = settings
        self._model = model
        self._context_adder = context_adder
        self._index_for = index_for
        self._called = called
        self._cache = DraftCache()
        self._flights = Flights()
        self._anchors: dict[str, Anchor] = {}
        self._turns: dict[str, Turn] = {}  # of each document's newest request
        self._latest: dict[str, tuple[Turn, Ask, Request]] = {}
        self._serial = 0

    # --- what becomes of them ---

    def turn(self, uri: str) -> Turn:
        """A new request has come: the one that was the newest is answered without drafts."""
        self._pass_over(uri)
        self._serial += 1
        turn = self._turns[uri] = Turn(uri, self._serial)
        return turn

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
        self._pass_over(uri)
        self._turns.pop(uri, None)
        self._anchors.pop(uri, None)
        self._latest.pop(uri, None)

    def end(self, uri: str) -> None:
        """End all calls for a document."""
        self._end(self._flights.of(uri))
        self._worker.cancel((self, uri))

    def taken_back(self, turn: Turn, document: Document | None) -> None:
        """The editor cancelled the newest request; it does so on a key, too, before it asks again.

        Where text was typed at the call's place the call goes on for a moment.
        """
        uri = turn.uri
        if self._turns.get(uri) is not turn:
            return
        text = "" if document is None else with_line_feeds(document.text)
        for flight in self._flights.of(uri):
            prefix, suffix = flight.place.prefix, flight.place.suffix
            grown = len(text) > len(prefix) + len(suffix)
            if not (grown and text.startswith(prefix) and text.endswith(suffix)):
                self._end([flight])

        def unless_asked_again() -> None:
            if self._turns.get(uri) is turn:
                self._end(self._flights.of(uri))

        if self._flights.of(uri):
            asyncio.get_running_loop().call_later(_GRACE, unless_asked_again)

    def _pass_over(self, uri: str) -> None:
        turn = self._turns.get(uri)
        if turn is not None and not turn.over.done():
            turn.over.set_result(None)

    def _end(self, flights: Iterable[Flight]) -> None:
        """Cancel calls and forget what came of them; who waits for one is answered."""
        for flight in flights:
            if flight in self._flights:
                self._flights.remove(flight)
                self._cache.discard(flight.uri, flight.place.prefix, flight.place.suffix)
            if flight.job is not None:
                flight.job.cancel()

    # --- answers ---

    async def answer(self, ask: Ask, request: Request, turn: Turn) -> Answer:
        """Answer a request whose turn it is; raises what the call for it raised."""
        uri, prefix, suffix, k = ask.document.uri, request.prefix, request.suffix, request.k
        self._latest[uri] = (turn, ask, request)
        tell_first = self._streaming(ask, turn)
        # Who insists wants all drafts, not the first of those in work; so does who joins a call,
        # and who is told the first before the answer.
        patient = ask.trigger is Trigger.INVOKED or tell_first is not None
        while not turn.over.done():
            drafts = self._cache.lookup(uri, prefix, suffix, k)
            flight = self._flights.behind(uri, Place(prefix, suffix), k)
            if flight is not None and not flight.ahead and patient and drafts:
                if tell_first is not None:
                    tell_first(drafts[0])
                    tell_first = None
                await either(flight.landed, turn.over)  # the others are on their way
            elif drafts or self._has_nothing(ask, request):
                useless = [
                    each
                    for each in self._flights.of(uri)
                    if not each.may_serve(Place(prefix, suffix))
                ]
                self._end(useless)
                self._look_ahead(uri)
                return answered(turn.serial, drafts, from_cache=True)
            elif flight is not None and not flight.has_first and not flight.contradicts(prefix):
                patient = True
                await either(flight.news, turn.over)
            else:
                return await self._call(ask, request, turn)
        return Answer()

    def _has_nothing(self, ask: Ask, request: Request) -> bool:
        """Whether the model was asked here and had nothing; who insists has it asked again."""
        return ask.trigger is Trigger.AUTOMATIC and self._cache.knows(
            ask.document.uri, request.prefix, request.suffix, request.k
        )

    async def _call(self, ask: Ask, request: Request, turn: Turn) -> Answer:
        """Have the engine answer; without drafts where it was overtaken."""
        uri = ask.document.uri
        completer = self._model.completer
        if completer is None:
            self._model.remind()
            return Answer()
        self._end(self._flights.of(uri))
        anchor, self._anchors[uri] = next_anchor(
            self._anchors.get(uri), request.prefix, request.suffix
        )
        flight = Flight(uri, Place(request.prefix, request.suffix), request.k)
        self._launch(flight, ask, request, completer, anchor, self._streaming(ask, turn))
        await either(flight.landed, turn.over)
        if turn.over.done():
            return Answer()
        if flight.completion is not None:
            return answered(turn.serial, flight.completion.drafts, stats=flight.completion.stats)
        if flight.error is not None and not isinstance(flight.error, (Cancelled, CancelledError)):
            raise flight.error
        return Answer()

    def _launch(
        self,
        flight: Flight,
        ask: Ask,
        request: Request,
        completer: Completer,
        anchor: int,
        tell_first: Callable[[Draft], None] | None = None,
    ) -> None:
        """Give a call to the engine; `request` is anchored as the document's state says."""
        uri, loop, worker = flight.uri, asyncio.get_running_loop(), self._worker
        add_context = self._context_adder(ask.document)
        index_for = self._index_for(ask.document)
        deadline = Deadline.after(self._settings.current.deadline_ms / 1000)
        # The prompt leaves out what the editor closed since the anchor.
        suffix = self._anchors[uri].suffix
        closers = request.suffix[: len(request.suffix) - len(suffix)]

        def first(draft: Draft) -> None:
            if flight in self._flights:
                place = flight.place
                self._cache.store(uri, place.prefix, place.suffix, flight.k, [draft])
                flight.hear_first()
            if tell_first is not None:
                tell_first(draft)

        def on_draft(draft: Draft) -> None:  # on the engine's thread
            here = before_closers(draft, closers)
            if here is not None:
                _later(loop, first, here)

        def on_text(text: str) -> None:  # on the engine's thread
            _later(loop, flight.hear, text)

        def work(cancel: CancelToken) -> Completion:  # on the engine's thread
            flight.began = True
            prompt = add_context(replace(request, anchor=anchor, suffix=suffix))
            cancel.check()
            done = completer.complete(
                prompt,
                cancel=cancel,
                deadline=deadline,
                on_draft=on_draft,
                on_text=on_text,
                workspace=index_for(completer),
                waiting=worker.waiting,
            )
            here = (before_closers(draft, closers) for draft in done.drafts)
            drafts = tuple(draft for draft in here if draft is not None)[: flight.k]
            return replace(done, drafts=drafts)

        purpose = Purpose.AHEAD if flight.ahead else Purpose.ANSWER
        told = self._measured(ask, purpose, work)
        self._flights.add(flight)
        if flight.ahead:
            flight.job = self._worker.when_idle((self, uri, "ahead"), told)
        else:
            flight.job = self._worker.submit((self, uri), told)
        flight.job.add_done_callback(lambda job: _later(loop, self._landed, flight, job, deadline))

    def _landed(self, flight: Flight, job: Future[Completion], deadline: Deadline) -> None:
        error = CancelledError() if job.cancelled() else job.exception()
        completion = None if error is not None else job.result()
        if flight in self._flights:
            self._flights.remove(flight)
            uri, place = flight.uri, flight.place
            if completion is None or (not completion.drafts and deadline.expired):
                self._cache.discard(uri, place.prefix, place.suffix)
            else:
                self._cache.store(uri, place.prefix, place.suffix, flight.k, completion.drafts)
        flight.land(completion, error)
        if completion is not None:
            self._look_ahead(flight.uri)

    def _streaming(self, ask: Ask, turn: Turn) -> Callable[[Draft], None] | None:
        """What tells the editor the first draft, if it wants that and still waits."""
        if ask.on_draft is None or not self._settings.stream:
            return None
        deliver = ask.on_draft

        def tell(draft: Draft) -> None:
            if self._turns.get(turn.uri) is turn:
                deliver(f"{turn.serial}.first", draft)

        return tell

    def _measured(
        self, ask: Ask, purpose: Purpose, work: Callable[[CancelToken], T]
    ) -> Callable[[CancelToken], T]:
        """The same work, which tells the editor what it cost if it wants to know."""
        if not self._settings.calls:
            return work
        loop, called = asyncio.get_running_loop(), self._called

        def measured(cancel: CancelToken) -> T:  # on the engine's thread
            started, stats, outcome = time.perf_counter(), Stats(), Outcome.FAILED
            try:
                result = work(cancel)
                stats = result.stats if isinstance(result, Completion) else stats
                outcome = Outcome.CANCELLED if cancel.cancelled else Outcome.DONE
                return result
            except Cancelled as error:
                stats, outcome = Stats(forward_passes=error.passes), Outcome.CANCELLED
                raise
            finally:
                call = Call(
                    ask.request_id if purpose is Purpose.ANSWER else None,
                    ask.document.uri,
                    ask.document.version,
                    purpose,
                    outcome,
                    prompt_tokens=stats.prompt_tokens,
                    recomputed_tokens=stats.recomputed_tokens,
                    forward_passes=stats.forward_passes,
                    first_draft_ms=1000 * stats.first_draft_s,
                    total_ms=1000 * (time.perf_counter() - started),
                )
                _later(loop, called, call)

        return measured

    # --- idle time ---

    def _look_ahead(self, uri: str) -> None:
        """Use idle time for what the next requests will need, if no call is under way for them."""
        latest, completer = self._latest.get(uri), self._model.completer
        state = self._anchors.get(uri)
        if latest is None or completer is None or state is None or self._flights.of(uri):
            return
        turn, ask, request = latest
        if self._turns.get(uri) is not turn:
            return
        if reanchor_due(state, request.prefix, request.suffix):
            asyncio.get_running_loop().call_later(_PAUSE, self._reanchor, turn, ask, request)
        if self._settings.current.speculate and (place := self._next_place(uri, request)):
            anchor, kept = next_anchor(state, place.prefix, place.suffix)
            if kept is state:  # else the drafts would cost the cache the prompt of this place
                flight = Flight(uri, place, request.k, ahead=True)
                there = replace(request, prefix=place.prefix, suffix=place.suffix)
                self._launch(flight, ask, there, completer, anchor)

    def _next_place(self, uri: str, request: Request) -> Place | None:
        """Where drafts will be wanted: here, if few are left, or behind the one shown first."""
        here = Place(request.prefix, request.suffix)
        drafts = self._cache.lookup(uri, here.prefix, here.suffix, request.k)
        if not drafts:
            return None
        behind = here.accepting(drafts[0])
        few = len(drafts) < request.k and not word_before(here.prefix)
        for place in [here, behind] if few else [behind]:
            if not self._cache.knows(uri, place.prefix, place.suffix, request.k):
                return place
        return None

    def _reanchor(self, turn: Turn, ask: Ask, request: Request) -> None:
        """Move the anchor to the cursor, unless the user went on."""
        uri, loop = ask.document.uri, asyncio.get_running_loop()
        state, completer = self._anchors.get(uri), self._model.completer
        if self._turns.get(uri) is not turn or state is None or completer is None:
            return
        if not reanchor_due(state, request.prefix, request.suffix):
            return
        add_context = self._context_adder(ask.document)
        offset, fresh = fresh_anchor(request.prefix, request.suffix)

        def moved() -> None:
            if self._anchors.get(uri) is state:
                self._anchors[uri] = fresh

        def prefill(cancel: CancelToken) -> None:  # on the engine's thread
            prompt = add_context(replace(request, anchor=offset))
            # From its first token on the KV cache serves the new anchor, even if cut short.
            _later(loop, moved)
            completer.prefill(prompt, cancel=cancel)
            _later(loop, self._look_ahead, uri)

        work = self._measured(ask, Purpose.PREFILL, prefill)
        self._worker.when_idle((self, uri), work)


def _later(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: object) -> None:
    """Call on the loop's thread, from any thread."""
    with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
        loop.call_soon_threadsafe(call, *arguments)
