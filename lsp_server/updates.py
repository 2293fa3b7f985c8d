"""Better drafts for an answer that was given before the large model of a pair had looked.

A client that wants its drafts streamed is answered with the small model's. When the large one has
improved them, the newest request of the document is told, wherever the user has come to meanwhile:

    at "x = "   answered   7.0 "foo(a)"   7.1 "bar"      (the small model's)
    typed "f"   answered   8.0 "oo(a)"                   (from the cache: "bar" is ruled out)
    large       "foo(b)"       "fox"
    at "x = f"  update     8.0 "oo(b)"    8.1 "ox"

A draft keeps the id of the one that it was made of; one that did not fit before gets a new id.
That the large model has confirmed a draft as it was is told as well. What was typed is never
contradicted, and if there is no difference in what is seen or in who wrote it nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from polydraft.completion.types import Draft, Origin, Part, SwitchEvent
from polydraft.lsp_server.asks import Answer, Ask, NamedDraft
from polydraft.lsp_server.draft_cache import DraftCache, Place, still_holds
from polydraft.lsp_server.flights import Flight
from polydraft.lsp_server.turns import Asked, Turns

Remember = Callable[[Ask, Answer], None]
_Key = tuple[str, int, int]  # what the user would see of a draft
_Account = tuple[_Key, bool, tuple[Part, ...], tuple[SwitchEvent, ...]]  # and who stands for it


@dataclass(slots=True)
class _Told:
    """What a request was answered with; `serials` gives the numbers of new drafts."""

    asked: Asked
    drafts: tuple[NamedDraft, ...]
    serials: Iterator[int] = field(init=False)

    def __post_init__(self) -> None:
        self.serials = count(len(self.drafts))


class Updates:
    """`remember` hears of what is told, before the client does."""

    def __init__(self, turns: Turns, cache: DraftCache, remember: Remember) -> None:
        self._turns = turns
        self._cache = cache
        self._remember = remember
        self._told: dict[str, _Told] = {}  # the newest answer for each document

    def answered(self, asked: Asked, answer: Answer) -> None:
        self._told[asked.turn.uri] = _Told(asked, answer.drafts)

    def drop(self, uri: str) -> None:
        self._told.pop(uri, None)

    def improved(self, flight: Flight) -> None:
        """A call has landed, and its drafts are in the cache: tell who was answered before."""
        told, asked = self._told.get(flight.uri), self._turns.newest(flight.uri)
        if told is None or told.asked is not asked or flight.completion is None:
            return
        heirs = _heirs(flight, asked.place)
        if not any(_key(draft) in heirs for _, draft in told.drafts):
            return  # it was answered by something else
        place, k = asked.place, asked.request.k
        drafts = self._cache.lookup(flight.uri, place.prefix, place.suffix, k)
        if not drafts or [*map(_account, drafts)] == [_account(draft) for _, draft in told.drafts]:
            return
        told.drafts = _named(told, heirs, drafts)
        update = Answer(told.drafts, flight.completion.stats)
        self._remember(asked.ask, update)
        if asked.ask.on_update is not None:
            asked.ask.on_update(update)


def _key(draft: Draft) -> _Key:
    return draft.text, draft.replace, draft.outdent


def _account(draft: Draft) -> _Account:
    """What a client is told anew if it changes: not that a draft is still the small model's own,
    which names no parts before the large one has looked."""
    by_large = any(part.origin is Origin.LARGE for part in draft.parts)
    return _key(draft), draft.checked, draft.parts if by_large else (), draft.switches


def _heirs(flight: Flight, now: Place) -> dict[_Key, _Key | None]:
    """What became of each early draft that may stand at a place; None: it holds no more there."""
    heirs: dict[_Key, _Key | None] = {}
    early = flight.early.drafts if flight.early is not None else ()
    final = flight.final.drafts if flight.final is not None else ()
    for index, draft in enumerate(early):
        before = _at(draft, flight.place, now)
        after = _at(final[index] if index < len(final) else None, flight.place, now)
        if before is not None:
            heirs[_key(before)] = None if after is None else _key(after)
    return heirs


def _at(draft: Draft | None, made_at: Place, now: Place) -> Draft | None:
    return None if draft is None else still_holds(draft, made_at, now)


def _named(
    told: _Told, heirs: dict[_Key, _Key | None], drafts: Iterable[Draft]
) -> tuple[NamedDraft, ...]:
    """The drafts by the ids of those that they were made of, or that they equal, or new ones."""
    made_of = {
        after: draft_id
        for draft_id, draft in told.drafts
        if (after := heirs.get(_key(draft))) is not None
    }
    taken = set(made_of.values())
    equals = {_key(draft): draft_id for draft_id, draft in told.drafts if draft_id not in taken}
    ids = {**equals, **made_of}
    serial, named = told.asked.turn.serial, []
    for draft in drafts:
        draft_id = ids.get(_key(draft)) or f"{serial}.{next(told.serials)}"
        named.append((draft_id, draft))
    return tuple(named)
