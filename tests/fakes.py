"""Stand-ins for the engine and the models, for tests of everything around them.

They are deterministic, and tests control when they go on through events, not through time.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from polydraft.completion.ngram_index import NGramIndex
from polydraft.completion.protocols import Completer
from polydraft.completion.types import (
    CancelToken,
    Completion,
    ContextChunk,
    Deadline,
    Draft,
    Finish,
    OnDraft,
    OnDrafts,
    OnText,
    Request,
    Stats,
)
from polydraft.lsp_server.settings import ModelSettings, Switching

T = TypeVar("T")
Write = Callable[[Request], Sequence[str | Draft]]
STEP_S = 0.001  # how long a held fake "decodes" between two looks at its cancel token


def draft(text: str, *, replace: int = 0, outdent: int = 0) -> Draft:
    return Draft(
        text=text,
        mean_logprob=-0.5,
        token_count=max(1, len(text) // 4),
        drafter="greedy",
        finish=Finish.LINE,
        replace=replace,
        outdent=outdent,
    )


def named_after_the_place(request: Request) -> list[str]:
    """k drafts whose names tell exactly which text around the cursor they were made for."""
    place = f"{request.prefix}|{request.suffix}".encode()
    name = hashlib.sha256(place).hexdigest()[:8]
    return [f"draft_{name}_{index}" for index in range(request.k)]


@dataclass
class FakeCompleter:
    """A `Completer` that writes what `write` says, and waits while its gate is not set.

    `steps` counts the steps that it has waited; it looks at its cancel token before each.
    """

    write: Write = named_after_the_place
    muse: Callable[[Request], str] | None = None  # the text of the likeliest draft so far
    gate: threading.Event = field(default_factory=threading.Event)
    prefill_gate: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    requests: list[Request] = field(default_factory=list)
    prefills: list[Request] = field(default_factory=list)
    steps: int = 0
    finished: int = 0
    cancelled: int = 0
    workspaces: list[NGramIndex | None] = field(default_factory=list)  # one a request
    encoded: list[str] = field(default_factory=list)
    tokenizer_id: str = "code points"
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.gate.set()
        self.prefill_gate.set()

    def encode(self, text: str) -> list[int]:
        self._record(self.encoded, text)
        return [ord(character) for character in text]

    def complete(
        self,
        request: Request,
        *,
        cancel: CancelToken | None = None,
        deadline: Deadline | None = None,
        on_draft: OnDraft | None = None,
        on_text: OnText | None = None,
        on_drafts: OnDrafts | None = None,
        workspace: NGramIndex | None = None,
        waiting: int = 0,
        monitoring: object = None,
    ) -> Completion:
        self.workspaces.append(workspace)
        if on_text is not None and self.muse is not None:
            on_text(self.muse(request))
        self._record(self.requests, request)
        if self.error is not None:
            raise self.error
        drafts = tuple(
            each if isinstance(each, Draft) else draft(each) for each in self.write(request)
        )
        if on_draft is not None and drafts:
            on_draft(drafts[0])
        self._hold(self.gate, cancel, deadline)
        with self.changed:
            self.finished += 1
            self.changed.notify_all()
        return Completion(drafts, Stats(prompt_tokens=7, recomputed_tokens=2, forward_passes=3))

    def prefill(self, request: Request, *, cancel: CancelToken | None = None) -> None:
        self._record(self.prefills, request)
        self._hold(self.prefill_gate, cancel, None)

    def wait_for(self, condition: Callable[[FakeCompleter], bool]) -> None:
        """Block until the fake has come to a state; AssertionError after ten seconds."""
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), timeout=10)

    def _record(self, where: list[T], what: T) -> None:
        with self.changed:
            where.append(what)
            self.changed.notify_all()

    def _hold(
        self, gate: threading.Event, cancel: CancelToken | None, deadline: Deadline | None
    ) -> None:
        while not gate.is_set() and not (deadline is not None and deadline.expired):
            if cancel is not None and cancel.cancelled:
                with self.changed:
                    self.cancelled += 1
                    self.changed.notify_all()
                cancel.check()
            self.steps += 1
            gate.wait(STEP_S)


@dataclass
class FakePair:
    """A `Completer` of two: it announces what the small one writes, then the large one writes.

    The large one's gate holds it in between.
    """

    small: FakeCompleter
    large: FakeCompleter
    switching: Switching = Switching()
    notices: list[str] = field(default_factory=list)  # one a request, as long as there are any
    announces: bool = True
    asks: bool = True  # the large one at all

    @property
    def tokenizer_id(self) -> str:
        return self.small.tokenizer_id

    def encode(self, text: str) -> list[int]:
        return self.small.encode(text)

    def complete(
        self,
        request: Request,
        *,
        cancel: CancelToken | None = None,
        deadline: Deadline | None = None,
        on_draft: OnDraft | None = None,
        on_text: OnText | None = None,
        on_drafts: OnDrafts | None = None,
        workspace: NGramIndex | None = None,
        waiting: int = 0,
        monitoring: object = None,
    ) -> Completion:
        early = self.small.complete(
            request,
            cancel=cancel,
            deadline=deadline,
            on_draft=on_draft,
            on_text=on_text,
            workspace=workspace,
        )
        if not self.asks:
            return Completion(early.drafts, Stats(policy="bild"))
        if on_drafts is not None and self.announces:
            on_drafts(early.drafts)
        final = self.large.complete(request, cancel=cancel, deadline=deadline)
        stats = Stats(
            policy="bild",
            escalated="confidence: 0.10, threshold 0.20",
            large_passes=2,
            large_tokens=5,
            notice=self.notices.pop(0) if self.notices else "",
        )
        return Completion(final.drafts, stats)

    def prefill(self, request: Request, *, cancel: CancelToken | None = None) -> None:
        self.small.prefill(request, cancel=cancel)
        self.large.prefill(request, cancel=cancel)


@dataclass
class FakeProvider:
    """A `CompleterProvider` that gives one completer, after the errors that it is to raise first.

    Models that are named in `others`, `errors_of` or `gates` have their own. Loading waits while
    its gate is not set; `ready` are the models "in the cache". `refusal` is why no two models work
    together; pairs that were made are in `pairs`.
    """

    completer: FakeCompleter = field(default_factory=FakeCompleter)
    errors: list[Exception] = field(default_factory=list)
    ready: set[str] = field(default_factory=set)
    loads: list[ModelSettings] = field(default_factory=list)
    budgets: list[int | None] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    others: dict[str, FakeCompleter] = field(default_factory=dict)
    errors_of: dict[str, list[Exception]] = field(default_factory=dict)
    gates: dict[str, threading.Event] = field(default_factory=dict)
    refusal: Exception | None = None
    pairs: list[FakePair] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    def load(
        self,
        model: ModelSettings,
        progress: Callable[[str, float | None], None],
        *,
        budget_bytes: int | None = None,
    ) -> FakeCompleter:
        self.loads.append(model)
        self.budgets.append(budget_bytes)
        progress("Fetching the weights", 0.5)
        while not self.gates.get(model.name, self.gate).wait(STEP_S):
            progress("Fetching the weights", 0.5)  # raises when nobody wants it any more
        errors = self.errors_of.get(model.name, self.errors)
        if errors:
            raise errors.pop(0)
        return self.others.get(model.name, self.completer)

    def pair(self, small: Completer, large: Completer, switching: Switching) -> FakePair:
        if self.refusal is not None:
            raise self.refusal
        assert isinstance(small, FakeCompleter) and isinstance(large, FakeCompleter)
        self.pairs.append(FakePair(small, large, switching))
        return self.pairs[-1]

    def is_ready(self, name: str) -> bool:
        return name in self.ready

    def let_go(self) -> None:
        """Set all gates, so that nothing waits any more."""
        for gate in (self.gate, *self.gates.values()):
            gate.set()
        for completer in (self.completer, *self.others.values()):
            completer.gate.set()
            completer.prefill_gate.set()


def nothing_excluded(path: Path, root: Path | None) -> bool:
    return False


def no_context(**_: object) -> tuple[ContextChunk, ...]:
    return ()
