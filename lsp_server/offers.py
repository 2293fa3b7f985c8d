"""The drafts that the user may still say to have accepted."""

from __future__ import annotations

from collections import OrderedDict

from polydraft.completion.types import Draft
from polydraft.lsp_server.asks import Answer, Ask

_MOST = 64


class Offers:
    """The latest drafts of one client by their ids."""

    def __init__(self) -> None:
        self._drafts: OrderedDict[str, tuple[Ask, Draft]] = OrderedDict()

    def add(self, ask: Ask, answer: Answer) -> None:
        """A draft of a known id takes the other's place."""
        self._drafts.update((known_id(each), (ask, draft)) for each, draft in answer.drafts)
        while len(self._drafts) > _MOST:
            self._drafts.popitem(last=False)

    def get(self, draft_id: str) -> tuple[Ask, Draft] | None:
        """The draft of an id, with what was asked."""
        return self._drafts.get(known_id(draft_id))

    def take(self, draft_id: str) -> tuple[Ask, Draft] | None:
        """The draft of an id, with what was asked; it is accepted only once."""
        return self._drafts.pop(known_id(draft_id), None)


def known_id(draft_id: str) -> str:
    """The first draft may have been streamed before the answer, which it also stands first in."""
    return draft_id.replace(".first", ".0")
