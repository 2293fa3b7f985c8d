"""The types that cross polydraft's borders: what a caller asks and what it gets back.

Text positions here are Python string offsets (Unicode code points); conversion from an editor's
UTF-8/16/32 positions happens in `polydraft.lsp_server.documents` and nowhere else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class Cancelled(Exception):
    """The request was cancelled: raised by the engine at the next decode step.

    `passes` counts the forward passes that had run for it.
    """

    def __init__(self, passes: int = 0) -> None:
        super().__init__(passes)
        self.passes = passes


class CancelToken:
    """A one-way switch that another thread may set; the engine polls it at every decode step."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Cancelled` if the switch is set."""
        if self._event.is_set():
            raise Cancelled


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock (seconds); `None` means no deadline."""

    at: float | None = None

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        return cls(None if seconds is None else time.monotonic() + seconds)

    @property
    def expired(self) -> bool:
        return self.at is not None and time.monotonic() >= self.at


class Finish(StrEnum):
    """Why a draft ended."""

    STOP_TOKEN = "stop"  # the model's own end of the middle
    LINE = "line"  # the end of the line, for a single-line completion
    BLOCK = "block"  # the block that the cursor stands in was left
    LENGTH = "length"  # the token limit
    DEADLINE = "deadline"  # time ran out: the text is a prefix of what would have come
    CUT = "cut"  # the better drafts had ended: the text is a prefix of what would have come
    PLAUSIBILITY = "plausibility"  # cut before a token that the exact model finds implausible


@dataclass(frozen=True, slots=True)
class ContextChunk:
    """Text of another file of the workspace that may enter the prompt."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a request may use: tokens of prompt, tokens of draft."""

    prompt_tokens: int = 1024
    new_tokens: int = 48

    def __post_init__(self) -> None:
        if self.prompt_tokens < 16:
            raise ValueError(f"prompt_tokens must be at least 16, not {self.prompt_tokens}")
        if self.new_tokens < 1:
            raise ValueError(f"new_tokens must be at least 1, not {self.new_tokens}")


@dataclass(frozen=True, slots=True)
class Request:
    """One place to complete.

    `prefix` and `suffix` are the document's whole text before and after the cursor (the prompt
    builder cuts them to the budget). `anchor` is an offset into `prefix`: the text from there to
    the cursor was typed since the first request of this spell of typing and goes behind the
    middle token, so that the KV cache keeps the rest (see `polydraft.completion.prompt`).
    `multiline=None` lets the syntax at the cursor decide.
    """

    prefix: str
    suffix: str
    path: str = ""
    language: str = ""  # LSP language id, e.g. "python"
    k: int = 3
    anchor: int | None = None
    multiline: bool | None = None
    context: tuple[ContextChunk, ...] = ()
    budget: Budget = field(default_factory=Budget)
    repository: str = ""  # its name, for models trained on whole repositories
    drafter: str = "auto"  # a name of `polydraft.completion.drafters.DRAFTERS`
    guesser: str = "auto"  # a name of `polydraft.completion.guessers.GUESSERS`

    def __post_init__(self) -> None:
        if not 1 <= self.k <= 16:
            raise ValueError(f"k must be between 1 and 16, not {self.k}")
        if self.anchor is not None and not 0 <= self.anchor <= len(self.prefix):
            raise ValueError(f"anchor {self.anchor} lies outside the prefix")


class Origin(StrEnum):
    """Which model of a pair wrote a token."""

    SMALL = "small"
    LARGE = "large"


class Switch(StrEnum):
    """What happened at a token of a draft that both models of a pair worked on."""

    HAND_OVER = "hand over"  # the large model wrote it, since the small one was unsure
    ROLLBACK = "rollback"  # the small model's token was taken back; this one is the large model's
    HAND_BACK = "hand back"  # the small model goes on from here
    FORK = "fork"  # the large model found this alternative to the first draft


@dataclass(frozen=True, slots=True)
class SwitchEvent:
    """A switch before the draft's token `at` (from 0): `statistic` had `value` at `threshold`."""

    kind: Switch
    at: int
    statistic: str = ""
    value: float = 0.0
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class Intervention:
    """Static analysis changed the draft's token `at` (from 0): the model's best was ruled out.

    `wanted` and `taken` are the two tokens' texts; `names` is how many the analyser offered.
    """

    at: int
    monitor: str
    analyser: str
    grade: str
    names: int
    wanted: str
    taken: str


@dataclass(frozen=True, slots=True)
class Part:
    """A run of a draft's tokens that one model wrote; `end` is where it ends in the draft's text,
    in code points."""

    origin: Origin
    tokens: int
    end: int


@dataclass(frozen=True, slots=True)
class Draft:
    """One completion, as the user would see it.

    `text` goes in at the cursor and replaces the next `replace` code points of the suffix (all on
    the cursor's line), and the last `outdent` of the white space before the cursor. `mean_logprob`
    is the exact model's mean log-probability (nats) over the draft's `token_count` tokens:
    `token_ids` are those of the raw draft, before the text filters.
    """

    text: str
    mean_logprob: float
    token_count: int
    drafter: str  # which row it was: "greedy", "beam", "superposed", "fork", "sampled"
    finish: Finish
    replace: int = 0
    token_ids: tuple[int, ...] = ()
    token_logprobs: tuple[float, ...] = ()
    method: str = ""  # the search that found it, a name of `DRAFTERS`
    parts: tuple[Part, ...] = ()  # of a pair's draft; empty where there is only one model
    switches: tuple[SwitchEvent, ...] = ()
    checked: bool = False  # whether the large model has judged every token
    interventions: tuple[Intervention, ...] = ()
    problems: tuple[str, ...] = ()  # why it ranks behind others: errors that they do not have
    outdent: int = 0  # only where nothing but white space stands before the cursor on its line

    def accepted(self, prefix: str, suffix: str) -> tuple[str, str]:
        """What stands before and behind the cursor once the draft is accepted."""
        return prefix[: len(prefix) - self.outdent] + self.text, suffix[self.replace :]


@dataclass(frozen=True, slots=True)
class Stats:
    """What a request cost. Times are wall seconds from the engine's start on the request."""

    prompt_tokens: int = 0
    recomputed_tokens: int = 0  # prompt tokens that the KV cache did not already hold
    forward_passes: int = 0
    first_draft_s: float = 0.0
    total_s: float = 0.0
    method: str = ""  # the search, a name of `DRAFTERS`
    method_reason: str = ""  # why that one, for people
    policy: str = ""  # of a pair, a name of `switching.POLICIES`
    escalated: str = ""  # why the large model was asked, for people; empty if it was not
    large_passes: int = 0  # of the forward passes
    large_tokens: int = 0  # of the drafts' tokens, written by the large model
    notice: str = ""  # what the user should know: for example, that the large model failed


@dataclass(frozen=True, slots=True)
class Completion:
    """The drafts for one request, in the order of showing, distinct as text; possibly none."""

    drafts: tuple[Draft, ...]
    stats: Stats = field(default_factory=Stats)


OnDraft = Callable[[Draft], None]
OnDrafts = Callable[[tuple[Draft, ...]], None]
OnText = Callable[[str], None]
