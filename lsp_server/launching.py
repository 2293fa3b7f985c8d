"""Gives calls to the engine's thread, and tells on the event loop what comes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from polydraft.completion.quiet import within
from polydraft.completion.types import CancelToken, Completion, Deadline, Draft, Request, Stats
from polydraft.lsp_server.anchor import Anchor
from polydraft.lsp_server.asks import Ask, Trigger
from polydraft.lsp_server.auto_close import before_closers
from polydraft.lsp_server.costs import measured
from polydraft.lsp_server.documents import Document
from polydraft.lsp_server.event_loop import later
from polydraft.lsp_server.flights import Flight, Found
from polydraft.lsp_server.messages import Call, Purpose
from polydraft.lsp_server.model_pair import InUse
from polydraft.lsp_server.worker import Worker
from polydraft.lsp_server.workspace import Workspaces
from polydraft.lsp_server.workspace_ngrams import IndexFor

if TYPE_CHECKING:  # it imports torch
    from polydraft.completion.monitor import Monitoring

T = TypeVar("T")

ContextAdder = Callable[[Document], Callable[[Request], Request]]
"""Snapshots what surrounds a document; what it returns runs on the engine's thread, adds other
files' text to a request, and raises if the document must not enter a prompt."""

MonitoringFor = Callable[[Document], "Monitoring | None"]
"""Snapshots what an analysis of a document needs, on the event loop's thread."""


_QUIET = Completion(())  # of a request for which no model was asked


@dataclass(frozen=True, slots=True)
class Prompted:
    """A request as the engine gets it, without what the editor closed (`closers`) at the cursor."""

    request: Request
    closers: str = ""


def prompted(request: Request, offset: int, anchor: Anchor) -> Prompted:
    """The request with its prompt anchored at an offset, as the document's state says."""
    closers = request.suffix[: len(request.suffix) - len(anchor.suffix)]
    return Prompted(replace(request, anchor=offset, suffix=anchor.suffix), closers)


class Tower(Protocol):
    """Who hears of flights, on the event loop's thread."""

    def first(self, flight: Flight, draft: Draft) -> None:
        """The first draft is finished."""

    def early(self, flight: Flight, found: Found) -> None:
        """The small model of a pair has drafted; now the large one looks."""

    def landed(self, flight: Flight, result: tuple[Found, Completion] | BaseException) -> None:
        """The flight is over."""


class Launcher:
    """`key` names whose calls these are, in the worker's queue."""

    def __init__(
        self,
        key: Hashable,
        worker: Worker,
        workspaces: Workspaces,
        context_adder: ContextAdder,
        index_for: Callable[[Document], IndexFor],
        monitoring_for: MonitoringFor,
        called: Callable[[Call], None],
        tower: Tower,
    ) -> None:
        self._key = key
        self._worker = worker
        self._workspaces = workspaces
        self._context_adder = context_adder
        self._index_for = index_for
        self._monitoring_for = monitoring_for
        self._called = called
        self._tower = tower

    def launch(self, flight: Flight, ask: Ask, prompt: Prompted) -> None:
        """Have drafts made; in idle time, if the flight is one ahead."""
        loop, worker, in_use = asyncio.get_running_loop(), self._worker, flight.in_use
        add_context = self._context_adder(ask.document)
        index_for = self._index_for(ask.document)
        monitoring = self._monitoring_for(ask.document)
        settings = self._workspaces.of(ask.document.home).settings.current
        quiet_in = settings.quiet_in if ask.trigger is Trigger.AUTOMATIC else ()
        flight.deadline = deadline = Deadline.after(settings.deadline_ms / 1000)

        def here(draft: Draft) -> Draft | None:
            return before_closers(draft, prompt.closers)

        # These four run on the engine's thread.

        def on_draft(draft: Draft) -> None:
            if (fitting := here(draft)) is not None:
                later(loop, self._tower.first, flight, fitting)

        def on_text(text: str) -> None:
            later(loop, flight.hear, text)

        def on_drafts(drafts: Sequence[Draft]) -> None:
            later(loop, self._tower.early, flight, Found(tuple(map(here, drafts))[: flight.k]))

        def work(cancel: CancelToken) -> tuple[Found, Completion]:
            flight.began = True
            request = add_context(prompt.request)
            cancel.check()
            if quiet_in and within(request.prefix, request.language) in quiet_in:
                return Found(()), _QUIET
            done = in_use.completer.complete(
                request,
                cancel=cancel,
                deadline=deadline,
                on_draft=on_draft,
                on_text=on_text,
                on_drafts=on_drafts,
                workspace=index_for(in_use.small),
                waiting=worker.waiting,
                monitoring=monitoring,
            )
            found = Found(tuple(map(here, done.drafts)))
            return found, replace(done, drafts=found.fitting[: flight.k])

        def stats_of(result: tuple[Found, Completion]) -> Stats | None:
            return None if result[1] is _QUIET else result[1].stats

        def over(job: Future[tuple[Found, Completion]]) -> None:
            error = CancelledError() if job.cancelled() else job.exception()
            later(loop, self._tower.landed, flight, job.result() if error is None else error)

        purpose = Purpose.AHEAD if flight.ahead else Purpose.ANSWER
        told = self._measured(ask, purpose, work, stats_of)
        if flight.ahead:
            flight.job = worker.when_idle((self._key, flight.uri, "ahead"), told)
        else:
            flight.job = worker.submit((self._key, flight.uri), told)
        flight.job.add_done_callback(over)

    def prefill(
        self,
        ask: Ask,
        prompt: Prompted,
        in_use: InUse,
        *,
        began: Callable[[], None] | None = None,
        done: Callable[[], None],
    ) -> None:
        """Bring a prompt into the KV cache in idle time; `began` and `done` run on the loop."""
        loop = asyncio.get_running_loop()
        add_context = self._context_adder(ask.document)

        def work(cancel: CancelToken) -> None:  # on the engine's thread
            request = add_context(prompt.request)
            if began is not None:
                later(loop, began)
            in_use.completer.prefill(request, cancel=cancel)
            later(loop, done)

        key = (self._key, ask.document.uri)
        told = self._measured(ask, Purpose.PREFILL, work, lambda _: Stats())
        self._worker.when_idle(key, told)

    def cancel(self, uri: str) -> None:
        """End what the document's requests wait for."""
        self._worker.cancel((self._key, uri))

    def _measured(
        self,
        ask: Ask,
        purpose: Purpose,
        work: Callable[[CancelToken], T],
        stats_of: Callable[[T], Stats | None],
    ) -> Callable[[CancelToken], T]:
        if not self._workspaces.options.calls:
            return work
        tell = partial(later, asyncio.get_running_loop(), self._called)
        return measured(work, stats_of, ask, purpose, tell)
