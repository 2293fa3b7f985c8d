"""Whose turn it is: of the requests for a document only the newest is worked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from polydraft.completion.types import Request
from polydraft.lsp_server.asks import Ask
from polydraft.lsp_server.draft_cache import Place
from polydraft.lsp_server.event_loop import keep, promise


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A request's claim to be its document's newest; `over` is done when it no longer is."""

    uri: str
    serial: int
    over: asyncio.Future[None] = field(default_factory=promise)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A request that is worked for: as the client asked it, and as the engine is to be asked."""

    turn: Turn
    ask: Ask
    request: Request

    @property
    def place(self) -> Place:
        return Place(self.request.prefix, self.request.suffix)


class Turns:
    """The newest request of each document of a client."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}
        self._asked: dict[str, Asked] = {}
        self._serial = 0

    def begin(self, uri: str) -> Turn:
        """A new request has come: the one that was the newest is answered without drafts."""
        self._pass_over(uri)
        self._serial += 1
        turn = self._turns[uri] = Turn(uri, self._serial)
        return turn

    def take(self, asked: Asked) -> None:
        """This request is worked for from now on."""
        self._asked[asked.turn.uri] = asked

    def is_newest(self, turn: Turn) -> bool:
        return self._turns.get(turn.uri) is turn

    def newest(self, uri: str) -> Asked | None:
        """The request that is worked for; None if a newer one has come meanwhile."""
        asked = self._asked.get(uri)
        return asked if asked is not None and self.is_newest(asked.turn) else None

    def drop(self, uri: str) -> None:
        """Answer what waits without drafts, and forget the document."""
        self._pass_over(uri)
        self._turns.pop(uri, None)
        self._asked.pop(uri, None)

    def _pass_over(self, uri: str) -> None:
        turn = self._turns.get(uri)
        if turn is not None:
            keep(turn.over)
