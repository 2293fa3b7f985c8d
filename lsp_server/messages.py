"""The payloads of polydraft's own protocol messages, beside the standard ones.

On the wire the names are in camelCase. Line endings in a draft's text are always LF.

| message            | direction                 | payload                              |
|--------------------|---------------------------|--------------------------------------|
| `polydraft/status` | notification to client    | `Status`                             |
| `polydraft/drafts` | request from client       | `DraftsParams`, answered by `Drafts` |
| `polydraft/draft`  | notification to client    | `StreamedDraft`, if `stream` was set |
| `polydraft/drafts` | notification to client    | `BetterDrafts`, if `stream` was set  |
| `polydraft/call`   | notification to client    | `Call`, if `calls` was set           |
| `polydraft/reload` | request from client       | none, answered by `Status`           |
| `polydraft/models` | request from client       | none, answered by a list of `KnownModel` |
| `polydraft/settings` | request from client     | `{textDocument}` or none, answered by `Held` |
| `textDocument/didShowCompletion` | notification from client | `{item}` |
| `textDocument/didPartiallyAcceptCompletion` | likewise | `{item, acceptedLength}` |
| `polydraft/hidden` | likewise | `{item}` |
| `polydraft.accepted` | command, from an item   | one argument, the draft's id         |
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, StrEnum
from typing import Any

from lsprotocol import types

from polydraft.completion.types import Intervention, Part, SwitchEvent

STATUS = "polydraft/status"
DRAFTS = "polydraft/drafts"
DRAFT = "polydraft/draft"
CALL = "polydraft/call"
RELOAD = "polydraft/reload"
SHOWN = "textDocument/didShowCompletion"
PARTLY_TAKEN = "textDocument/didPartiallyAcceptCompletion"
HIDDEN = "polydraft/hidden"
MODELS = "polydraft/models"
SETTINGS = "polydraft/settings"
ACCEPTED = "polydraft.accepted"


class State(StrEnum):
    LOADING = "loading"  # the model is being fetched, converted or loaded
    READY = "ready"
    ERROR = "error"  # `message` says what is wrong and what to do


class LargeState(StrEnum):
    NONE = "none"  # none is set, or none is of use without the small one
    LOADING = "loading"
    READY = "ready"
    ERROR = "error"  # the small one goes on alone; `large_message` says why


@dataclass(frozen=True, slots=True)
class Status:
    """What the server can do now in a workspace folder (`root`, a URI; None if there is none).

    `state` is that of `model`, the small one, which suffices for drafts. `progress`, of whichever
    model is loading, runs from 0 to 1, None where it is not known.
    """

    state: State
    message: str
    model: str
    progress: float | None = None
    root: str | None = None
    large: str | None = None
    large_state: LargeState = LargeState.NONE
    large_message: str = ""


@dataclass(frozen=True, slots=True)
class DraftsParams:
    """A place to complete; `k` drafts are wanted (None: as many as the settings say).

    `automatic` tells that typing caused the request, so that the settings may refuse it.
    """

    uri: str
    position: types.Position
    k: int | None = None
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class OfferedDraft:
    """One draft: accepting it replaces `range` by `text`.

    The range begins at the cursor, or before it with the indentation that the draft takes back.

    `id` names it in `polydraft.accepted`; `mean_logprob` is in nats per token. The others are of a
    pair's draft: the `end` of each part is an offset into `text` in the client's encoding, and
    switches are at tokens of the draft before the text filters, as `token_count` counts them. So
    are interventions, of which any draft may have some.
    """

    id: str
    text: str
    range: types.Range
    mean_logprob: float
    token_count: int
    drafter: str
    method: str
    finish: str
    parts: tuple[Part, ...] = ()
    switches: tuple[SwitchEvent, ...] = ()
    checked: bool = False
    interventions: tuple[Intervention, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerStats:
    """What an answer cost; times in milliseconds. All zero where it came from the cache."""

    prompt_tokens: int
    recomputed_tokens: int
    forward_passes: int
    first_draft_ms: float
    total_ms: float
    from_cache: bool
    method: str
    method_reason: str
    policy: str
    escalated: str
    large_passes: int
    large_tokens: int


@dataclass(frozen=True, slots=True)
class Drafts:
    """Drafts for a document version (None: the document is not open), as shown."""

    version: int | None
    drafts: tuple[OfferedDraft, ...]
    stats: AnswerStats


@dataclass(frozen=True, slots=True)
class StreamedDraft:
    """The draft that will lead the answer to a request that is still being worked on."""

    request_id: int | str | None
    uri: str
    version: int
    draft: OfferedDraft


@dataclass(frozen=True, slots=True)
class BetterDrafts:
    """What stands for the answer to a request from now on: the large model has looked at it.

    A draft that was made of one in the answer has its id.
    """

    request_id: int | str | None
    uri: str
    version: int
    drafts: tuple[OfferedDraft, ...]
    stats: AnswerStats
    final: bool = True


class Purpose(StrEnum):
    ANSWER = "answer"  # a request needs drafts
    AHEAD = "ahead"  # idle time: drafts that the next requests may need
    PREFILL = "prefill"  # idle time: a prompt for the KV cache, no drafts


class Outcome(StrEnum):
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the model and what it cost, told when the engine's thread is free again.

    `request_id` is the request that began it (None: idle time); one call may answer several
    requests, or none. Of a cancelled call and of a prefill the token counts are not known (0). A
    call that was cancelled before it began is not told.
    """

    request_id: int | str | None
    uri: str
    version: int
    purpose: Purpose
    outcome: Outcome
    prompt_tokens: int
    recomputed_tokens: int
    forward_passes: int
    first_draft_ms: float
    total_ms: float


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model to choose from; `bytes` on the disk, or to download (None: not known)."""

    name: str
    family: str
    parameters: int | None
    cached: bool
    bytes: int | None
    large_models: tuple[str, ...]  # the names of those that can be the large one beside it


@dataclass(frozen=True, slots=True)
class Held:
    """What holds for a document, from whichever layer of settings."""

    model: str
    large: str
    k: int
    automatic: bool
    languages_off: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What a client tells of an item: `accepted_length` in code units of the draft's text."""

    draft_id: str
    accepted_length: int = 0


def parse_told(raw: object) -> Told:
    """Read `{item, acceptedLength?}`; ValueError says what is wrong."""
    try:
        draft_id = raw["item"]["command"]["arguments"][0]  # type: ignore[index]
        length = raw.get("acceptedLength", 0)  # type: ignore[attr-defined]
    except (AttributeError, IndexError, KeyError, TypeError):
        raise ValueError("the draft's id is expected in item.command.arguments[0]") from None
    if not isinstance(draft_id, str) or not _is_count(length):
        raise ValueError("the draft's id must be a string and acceptedLength a count from 0")
    return Told(draft_id, length)


def parse_uri(raw: object) -> str | None:
    """The document that parameters name; None if none."""
    try:
        uri = raw["textDocument"]["uri"]  # type: ignore[index]
    except (KeyError, TypeError):
        return None
    return uri if isinstance(uri, str) else None


def parse_drafts_params(raw: object) -> DraftsParams:
    """Read the parameters of `polydraft/drafts`; ValueError says what is wrong."""
    try:
        assert isinstance(raw, Mapping)
        uri = raw["textDocument"]["uri"]
        line, character = raw["position"]["line"], raw["position"]["character"]
        k, automatic = raw.get("k"), raw.get("automatic", False)
    except (AssertionError, KeyError, TypeError):
        raise ValueError(
            f"{DRAFTS} needs textDocument.uri, position.line and position.character"
        ) from None
    if not isinstance(uri, str) or not _is_count(line) or not _is_count(character):
        raise ValueError(f"{DRAFTS}: uri must be a string, line and character counts from 0")
    if k is not None and not (_is_count(k) and 1 <= k <= 16):
        raise ValueError(f"{DRAFTS}: k must be an integer from 1 to 16, not {k!r}")
    if not isinstance(automatic, bool):
        raise ValueError(f"{DRAFTS}: automatic must be true or false, not {automatic!r}")
    return DraftsParams(uri, types.Position(line, character), k, automatic)


def to_wire(value: Any) -> Any:
    """A payload as JSON values, with the names in camelCase."""
    if isinstance(value, types.Range):
        return {"start": to_wire(value.start), "end": to_wire(value.end)}
    if isinstance(value, types.Position):
        return {"line": value.line, "character": value.character}
    if is_dataclass(value) and not isinstance(value, type):
        return {camel_case(item.name): to_wire(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, list | tuple):
        return [to_wire(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no infinity
    return value.value if isinstance(value, Enum) else value


def camel_case(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
