"""What a client's idle time is used for: drafts that come next, and prompts for the KV cache."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from polydraft.lsp_server.anchor import Anchor, fresh_anchor, next_anchor, reanchor_due
from polydraft.lsp_server.documents import word_before
from polydraft.lsp_server.draft_cache import DraftCache, Place
from polydraft.lsp_server.flights import Flight, Flights
from polydraft.lsp_server.launching import Launcher, Prompted, prompted
from polydraft.lsp_server.turns import Asked, Turns
from polydraft.lsp_server.workspace import Workspaces

# Seconds without a request until the prompt may be anchored anew: cut short, that would be paid by
# the next request.
_PAUSE = 0.7


class IdleTime:
    def __init__(
        self,
        workspaces: Workspaces,
        turns: Turns,
        anchors: dict[str, Anchor],
        cache: DraftCache,
        flights: Flights,
        launcher: Launcher,
    ) -> None:
        self._workspaces = workspaces
        self._turns = turns
        self._anchors = anchors
        self._cache = cache
        self._flights = flights
        self._launcher = launcher
        self._behind: set[str] = set()  # documents whose prompt the large model has not seen

    def look_ahead(self, uri: str) -> None:
        """Prepare what the next requests will need, if no call is under way for them."""
        asked, state = self._turns.newest(uri), self._anchors.get(uri)
        if asked is None or state is None or self._flights.of(uri):
            return
        if reanchor_due(state, asked.request.prefix, asked.request.suffix):
            asyncio.get_running_loop().call_later(_PAUSE, self._reanchor, asked)
        workspace = self._workspaces.of(asked.ask.document.home)
        in_use = workspace.models.in_use
        place = self._next_place(asked) if workspace.settings.current.speculate else None
        if in_use is not None and place is not None:
            offset, kept = next_anchor(state, place.prefix, place.suffix)
            if kept is state:  # else the drafts would cost the cache the prompt of this place
                flight = Flight(uri, place, asked.request.k, in_use, ahead=True)
                there = replace(asked.request, prefix=place.prefix, suffix=place.suffix)
                self._flights.add(flight)
                self._launcher.launch(flight, asked.ask, prompted(there, offset, state))
        self.catch_up(uri)

    def served(self, flight: Flight, *, asked: bool) -> None:
        """A call is over; if the large model was not asked, it may not have seen the prompt."""
        if flight.in_use.paired and not asked:
            self._behind.add(flight.uri)
        else:
            self._behind.discard(flight.uri)

    def catch_up(self, uri: str) -> None:
        """Bring the large model's prompt up to date if it may not be and no call is at work."""
        asked, state = self._turns.newest(uri), self._anchors.get(uri)
        if uri not in self._behind or asked is None or state is None or self._flights.of(uri):
            return
        in_use = self._workspaces.of(asked.ask.document.home).models.in_use
        offset, kept = next_anchor(state, asked.request.prefix, asked.request.suffix)
        if in_use is not None and in_use.paired and kept is state:
            prompt = prompted(asked.request, offset, state)
            self._launcher.prefill(
                asked.ask, prompt, in_use, done=lambda: self._behind.discard(uri)
            )

    def drop(self, uri: str) -> None:
        self._behind.discard(uri)

    def _next_place(self, asked: Asked) -> Place | None:
        """Where drafts will be wanted: here, if few are left, or behind the one shown first."""
        uri, here, k = asked.turn.uri, asked.place, asked.request.k
        drafts = self._cache.lookup(uri, here.prefix, here.suffix, k)
        if not drafts:
            return None
        behind = here.accepting(drafts[0])
        few = len(drafts) < k and not word_before(here.prefix)
        for place in [here, behind] if few else [behind]:
            if not self._cache.knows(uri, place.prefix, place.suffix, k):
                return place
        return None

    def _reanchor(self, asked: Asked) -> None:
        """Move the anchor to the cursor, unless the user went on."""
        uri, request = asked.turn.uri, asked.request
        state = self._anchors.get(uri)
        in_use = self._workspaces.of(asked.ask.document.home).models.in_use
        if not self._turns.is_newest(asked.turn) or state is None or in_use is None:
            return
        if not reanchor_due(state, request.prefix, request.suffix):
            return
        offset, fresh = fresh_anchor(request.prefix, request.suffix)

        def moved() -> None:
            # From its first token on the KV cache serves the new anchor, even if cut short.
            if self._anchors.get(uri) is state:
                self._anchors[uri] = fresh

        self._launcher.prefill(
            asked.ask,
            Prompted(replace(request, anchor=offset)),
            in_use,
            began=moved,
            done=lambda: self.look_ahead(uri),
        )
