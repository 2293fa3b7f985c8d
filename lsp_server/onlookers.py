"""What a client tells of drafts on display, for the user's own statistics (setting `metrics`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from polydraft.lsp_server.acceptance import About, Acceptance
from polydraft.lsp_server.acceptance_store import Recorder
from polydraft.lsp_server.asks import Ask
from polydraft.lsp_server.documents import Document, Encoding, code_points, with_line_feeds
from polydraft.lsp_server.messages import LargeState
from polydraft.lsp_server.offers import Offers, known_id
from polydraft.lsp_server.workspace import Workspaces


@dataclass(slots=True)
class Onlooker:
    """One client's drafts on display. All methods run on the event loop's thread.

    Line ends count as one character each, as they do in drafts.
    """

    workspaces: Workspaces
    offers: Offers
    documents: Callable[[], Mapping[str, Document]]
    recorder: Recorder | None
    _acceptance: Acceptance | None = field(default=None, init=False)
    _alarm: asyncio.TimerHandle | None = field(default=None, init=False)

    def shown(self, draft_id: str) -> None:
        offer = self.offers.get(draft_id)
        if offer is None or self.recorder is None or not self._wanted(offer[0]):
            return
        if self._acceptance is None:
            self._acceptance = Acceptance(self.recorder.add)
        ask, draft = offer
        before = with_line_feeds(ask.document.text[: ask.offset - draft.outdent])
        status = self.workspaces.of(ask.document.path).models.status
        large = status.large if status.large_state is LargeState.READY else None
        names = (_name(status.model), _name(large or ""))
        about = About(*names, draft.drafter, ask.document.language)
        uri = ask.document.uri
        self._acceptance.shown(
            known_id(draft_id), uri, len(before), draft.text, about, time.monotonic()
        )

    def hidden(self, draft_id: str) -> None:
        if self._acceptance is not None:
            self._acceptance.hidden(known_id(draft_id), time.monotonic())

    def partly_taken(self, draft_id: str, length: int, encoding: Encoding) -> None:
        """`length` of the draft so far, in code units."""
        if (offer := self.offers.get(draft_id)) is not None:
            self._take(draft_id, offer[0], code_points(offer[1].text, length, encoding))

    def taken(self, draft_id: str) -> None:
        """All of a draft is in the text."""
        if (offer := self.offers.get(draft_id)) is not None:
            self._take(draft_id, offer[0], None)

    def _take(self, draft_id: str, ask: Ask, length: int | None) -> None:
        if self._acceptance is None:
            return
        document = self.documents().get(ask.document.uri)
        text = with_line_feeds(document.text) if document is not None else ""
        self._acceptance.taken(known_id(draft_id), length, text, time.monotonic())
        self._look()

    def edited(self, old: Document, new: Document) -> None:
        """One change of a document."""
        if self._acceptance is not None:
            texts = with_line_feeds(old.text), with_line_feeds(new.text)
            self._acceptance.edited(old.uri, *texts, time.monotonic())

    def closed(self, uri: str) -> None:
        if self._acceptance is not None:
            self._acceptance.closed(uri, time.monotonic())

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if self._acceptance is not None:
            self._acceptance.close(time.monotonic())

    def _wanted(self, ask: Ask) -> bool:
        return self.workspaces.of(ask.document.path).settings.current.metrics

    def _look(self) -> None:
        """Count what is due, and come back when the next is."""
        if self._acceptance is None:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        wait = self._acceptance.look(time.monotonic())
        loop = asyncio.get_running_loop()
        self._alarm = None if wait is None else loop.call_later(wait + 0.05, self._look)


def _name(model: str) -> str:
    """A model's name; of one that is set by its path, the file's."""
    return PurePath(model).name
