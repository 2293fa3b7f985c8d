"""Loading models without making anyone wait, and sharing them among the clients of a process.

A model is loaded on a thread of its own, once, whoever asks for it; all who asked hear how it
goes. A model that nobody uses any more is dropped when another one is asked for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from polydraft.completion.protocols import Completer
from polydraft.completion.types import Cancelled
from polydraft.lsp_server.settings import ModelSettings

logger = logging.getLogger(__name__)

OnProgress = Callable[[str, float | None], None]
_SMALLEST_STEP = 0.01


class CompleterProvider(Protocol):
    """Makes completers out of model names; the only thing that knows where models come from."""

    def load(self, model: ModelSettings, progress: OnProgress) -> Completer:
        """Fetch, convert and load a model; blocks, for minutes perhaps, on a thread of its own.

        `progress(message, fraction)` is to be called now and then, with a fraction from 0 to 1 or
        None; it raises `Cancelled` when the process shuts down. An exception's text is shown to
        the user, so it must say what is wrong and what to do.
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


@dataclass(slots=True)
class _Entry:
    state: LoadState = field(default_factory=Loading)
    listeners: list[Listener] = field(default_factory=list)


class CompleterPool:
    """The models of a process; safe to use from any thread.

    Listeners are called from whichever thread brings the news, in the order of the news, and under
    the pool's lock: they must pass it on and return.
    """

    def __init__(self, provider: CompleterProvider) -> None:
        self.provider = provider
        self._lock = threading.RLock()
        self._entries: dict[ModelSettings, _Entry] = {}
        self._closed = False

    def acquire(self, model: ModelSettings, listener: Listener) -> None:
        """Tell `listener` the model's state now and whenever it changes; load it if need be.

        A model whose loading failed is tried again.
        """
        with self._lock:
            unused = [
                other
                for other, entry in self._entries.items()
                if other != model and not entry.listeners and not isinstance(entry.state, Loading)
            ]
            for other in unused:
                del self._entries[other]
            entry = self._entries.setdefault(model, _Entry(state=Failed("")))
            entry.listeners.append(listener)
            start = isinstance(entry.state, Failed)
            if start:
                entry.state = Loading()
            for each in entry.listeners if start else [listener]:
                each(entry.state)
        if start:
            threading.Thread(
                target=self._load, args=(model, entry), name="polydraft-loader", daemon=True
            ).start()

    def release(self, model: ModelSettings, listener: Listener) -> None:
        """Stop telling `listener`; the model stays loaded until another one is asked for."""
        with self._lock:
            entry = self._entries.get(model)
            if entry is not None and listener in entry.listeners:
                entry.listeners.remove(listener)

    def close(self) -> None:
        """Stop loading at the next report of progress, and forget all models."""
        with self._lock:
            self._closed = True
            for entry in self._entries.values():
                entry.listeners.clear()
            self._entries.clear()

    def _load(self, model: ModelSettings, entry: _Entry) -> None:
        def progress(message: str, fraction: float | None) -> None:
            if self._closed:
                raise Cancelled
            if _worth_telling(entry.state, message, fraction):
                self._tell(entry, Loading(message, fraction))

        try:
            self._tell(entry, Loaded(self.provider.load(model, progress)))
        except Cancelled:
            self._tell(entry, Failed("Loading was stopped."))
        except Exception as error:
            logger.debug("loading %s failed", model.name, exc_info=True)
            self._tell(entry, Failed(str(error) or type(error).__name__))

    def _tell(self, entry: _Entry, state: LoadState) -> None:
        with self._lock:
            entry.state = state
            for listener in entry.listeners:
                listener(state)


def _worth_telling(last: LoadState, message: str, fraction: float | None) -> bool:
    """Not every one of the thousands of chunks of a download is news."""
    if not isinstance(last, Loading) or last.message != message:
        return True
    if fraction is None or last.fraction is None:
        return fraction != last.fraction
    return abs(fraction - last.fraction) >= _SMALLEST_STEP or fraction >= 1.0 > last.fraction
