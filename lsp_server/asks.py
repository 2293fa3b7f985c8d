"""What a session is asked and what it answers, in text offsets and drafts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from polydraft.completion.types import Draft, Stats
from polydraft.lsp_server.documents import Document


class Trigger(Enum):
    AUTOMATIC = "automatic"  # because of typing: obeys the settings
    INVOKED = "invoked"  # the user asked for it: always tries


NamedDraft = tuple[str, Draft]


@dataclass(frozen=True, slots=True)
class Answer:
    """The drafts for an `Ask`, each with an id, in the order of showing.

    `from_cache`: no call of the model was begun for it.
    """

    drafts: tuple[NamedDraft, ...] = ()
    stats: Stats = Stats()
    from_cache: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """A place to complete: `offset` into the document; `k` None means as the settings say.

    To a client that wants drafts streamed `on_draft` tells the first draft before the answer, and
    `on_update` a better answer after it; both are called on the event loop's thread.
    """

    document: Document
    offset: int
    trigger: Trigger = Trigger.INVOKED
    k: int | None = None
    on_draft: Callable[[NamedDraft], None] | None = None
    on_update: Callable[[Answer], None] | None = None
    request_id: int | str | None = None  # the client's


def answered(
    serial: int, drafts: Sequence[Draft], *, stats: Stats | None = None, from_cache: bool = False
) -> Answer:
    """The answer to the request of this number, which also names its drafts."""
    named = tuple((f"{serial}.{index}", draft) for index, draft in enumerate(drafts))
    return Answer(named, stats or Stats(), from_cache)
