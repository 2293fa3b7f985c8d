"""Loading models without making anyone wait, and sharing them among the clients of a process.

A model is loaded on a thread of its own, once, whoever asks for it; all who asked hear how it
goes. One that nobody uses any more is dropped after a while, and at once if another one does not
fit beside it.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from polydraft.completion.protocols import Completer
from polydraft.completion.types import Cancelled
from polydraft.lsp_server.settings import ModelSettings, Switching

logger = logging.getLogger(__name__)

OnProgress = Callable[[str, float | None], None]
Timer = Callable[[float, Callable[[], None]], Callable[[], None]]
"""(seconds, call): have it called once, from any thread; what is returned calls that off."""

UNUSED_S = 300.0  # a project that was closed may be opened again
_SMALLEST_STEP = 0.01


class CompleterProvider(Protocol):
    """Makes completers out of model names; the only thing that knows where models come from."""

    def load(
        self, model: ModelSettings, progress: OnProgress, *, budget_bytes: int | None = None
    ) -> Completer:
        """Fetch, convert and load a model; blocks, for minutes perhaps, on a thread of its own.

        `progress(message, fraction)` is to be called now and then, with a fraction from 0 to 1 or
        None; it raises `Cancelled` when nobody wants the model any more. `budget_bytes` is what
        all models together may take, None: what is free. A `MemoryError` (or an error derived from
        it) says that there is no room: what is not used is then dropped and the model tried once
        more. An exception's text is shown to the user, so it must say what is wrong and what to do.
        """

    def pair(self, small: Completer, large: Completer, switching: Switching) -> Completer:
        """One completer of two that `load` gave, in the small one's token ids.

        Blocks, on a thread of its own, while both may be at work on the engine's: it must not touch
        what requests change. Raises an exception whose text is for the user if the two cannot work
        together.
        """

    def is_ready(self, name: str) -> bool:
        """Whether `name` is a registered model whose files are already in the cache."""


@dataclass(frozen=True, slots=True)
class Loading:
    message: str = "Loading the model"
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    completer: Completer


@dataclass(frozen=True, slots=True)
class Failed:
    message: str


LoadState = Loading | Loaded | Failed
Listener = Callable[[LoadState], None]


@dataclass(slots=True, eq=False)
class _Entry:
    state: LoadState = field(default_factory=Loading)
    listeners: list[Listener] = field(default_factory=list)
    keep: Callable[[], None] | None = None  # calls off that it is dropped

    @property
    def unused(self) -> bool:
        return not self.listeners and not isinstance(self.state, Loading)


def start_timer(seconds: float, call: Callable[[], None]) -> Callable[[], None]:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
    return timer.cancel


class CompleterPool:
    """The models of a process; safe to use from any thread.

    Listeners are called from whichever thread brings the news, in the order of the news, and under
    the pool's lock: they must pass it on and return.
    """

    def __init__(self, provider: CompleterProvider, timer: Timer = start_timer) -> None:
        self.provider = provider
        self._timer = timer
        self._lock = threading.RLock()
        self._entries: dict[ModelSettings, _Entry] = {}

    def acquire(
        self, model: ModelSettings, listener: Listener, budget_bytes: int | None = None
    ) -> None:
        """Tell `listener` the model's state now and whenever it changes; load it if need be.

        A model whose loading failed is tried again.
        """
        with self._lock:
            entry = self._entries.setdefault(model, _Entry(state=Failed("")))
            if entry.keep is not None:
                entry.keep()
                entry.keep = None
            entry.listeners.append(listener)
            start = isinstance(entry.state, Failed)
            if start:
                entry.state = Loading()
            for each in entry.listeners if start else [listener]:
                each(entry.state)
        if start:
            threading.Thread(
                target=self._load,
                args=(model, entry, budget_bytes),
                name="polydraft-loader",
                daemon=True,
            ).start()

    def release(self, model: ModelSettings, listener: Listener) -> None:
        """Stop telling `listener`; the model stays for a while, should it be asked for again."""
        with self._lock:
            entry = self._entries.get(model)
            if entry is None or listener not in entry.listeners:
                return
            entry.listeners.remove(listener)
            if not entry.listeners:
                entry.keep = self._timer(UNUSED_S, lambda: self._drop(model, entry))

    def close(self) -> None:
        """Stop loading at the next report of progress, and forget all models."""
        with self._lock:
            entries = tuple(self._entries.values())
            self._entries.clear()
            for entry in entries:
                entry.listeners.clear()
                if entry.keep is not None:
                    entry.keep()

    def _drop(self, model: ModelSettings, entry: _Entry) -> None:
        """Forget a model if nobody uses it; if it is still being loaded, that stops."""
        with self._lock:
            if self._entries.get(model) is entry and not entry.listeners:
                del self._entries[model]
                entry.state = Failed("")  # whoever knows the entry does not keep the model

    def _make_room(self) -> bool:
        """Drop all models that nobody uses; whether there were any."""
        with self._lock:
            unused = [model for model, entry in self._entries.items() if entry.unused]
            for model in unused:
                self._drop(model, self._entries[model])
        gc.collect()  # a model's memory may hang in cycles
        return bool(unused)

    def _load(self, model: ModelSettings, entry: _Entry, budget_bytes: int | None) -> None:
        def progress(message: str, fraction: float | None) -> None:
            if self._entries.get(model) is not entry:
                raise Cancelled
            if _worth_telling(entry.state, message, fraction):
                self._tell(entry, Loading(message, fraction))

        def load() -> Completer:
            try:
                return self.provider.load(model, progress, budget_bytes=budget_bytes)
            except MemoryError:
                if not self._make_room():
                    raise
            # Outside of the handler, since the error holds what was loaded so far.
            return self.provider.load(model, progress, budget_bytes=budget_bytes)

        try:
            self._tell(entry, Loaded(load()))
        except Cancelled:
            self._tell(entry, Failed("Loading was stopped."))
        except Exception as error:
            logger.debug("loading %s failed", model.name, exc_info=True)
            self._tell(entry, Failed(_text_of(error, model)))

    def _tell(self, entry: _Entry, state: LoadState) -> None:
        with self._lock:
            entry.state = state
            for listener in entry.listeners:
                listener(state)


def _text_of(error: Exception, model: ModelSettings) -> str:
    if isinstance(error, MemoryError) and not str(error):
        return f"There is not enough memory for {model.name}. Choose a smaller model."
    return str(error) or type(error).__name__


def _worth_telling(last: LoadState, message: str, fraction: float | None) -> bool:
    """Not every one of the thousands of chunks of a download is news."""
    if not isinstance(last, Loading) or last.message != message:
        return True
    if fraction is None or last.fraction is None:
        return fraction != last.fraction
    return abs(fraction - last.fraction) >= _SMALLEST_STEP or fraction >= 1.0 > last.fraction
