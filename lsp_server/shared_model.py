"""A session's view of the model it uses: loading, ready or failed, told on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from polydraft.completion.protocols import Completer
from polydraft.lsp_server.completers import (
    CompleterPool,
    Failed,
    Listener,
    Loaded,
    Loading,
    LoadState,
)
from polydraft.lsp_server.messages import State, Status
from polydraft.lsp_server.settings import ModelSettings


class SharedModel:
    """One of the pool's models; `on_change` is called with each new status."""

    def __init__(self, pool: CompleterPool, on_change: Callable[[Status], None]) -> None:
        self._pool = pool
        self._on_change = on_change
        self._wanted: ModelSettings | None = None
        self._listener: Listener | None = None
        self._state: LoadState = Loading()
        self._reminded_of: LoadState | None = None

    @property
    def completer(self) -> Completer | None:
        """The loaded model, or None if it is not ready."""
        return self._state.completer if isinstance(self._state, Loaded) else None

    @property
    def failed(self) -> bool:
        return isinstance(self._state, Failed)

    @property
    def status(self) -> Status:
        name = (self._wanted or ModelSettings()).name
        match self._state:
            case Loaded():
                return Status(State.READY, f"{name} is ready.", name)
            case Failed(message):
                return Status(State.ERROR, message, name)
            case Loading(message, fraction):
                return Status(State.LOADING, message, name, fraction)

    def want(self, model: ModelSettings) -> bool:
        """Use this model from now on; load it if need be, again if that had failed.

        Returns whether anything had to be done. Must be called on the event loop.
        """
        if model == self._wanted and not self.failed:
            return False
        self.release()
        self._wanted, self._state = model, Loading()
        self._listener = partial(self._hear, asyncio.get_running_loop(), model)
        self._pool.acquire(model, self._listener)
        return True

    def remind(self) -> None:
        """Say once more why there is nothing: a request was just answered without drafts."""
        if self._reminded_of is not self._state:
            self._reminded_of = self._state
            self._on_change(self.status)

    def release(self) -> None:
        if self._wanted is not None and self._listener is not None:
            self._pool.release(self._wanted, self._listener)
        self._wanted = self._listener = None

    def _hear(
        self, loop: asyncio.AbstractEventLoop, model: ModelSettings, state: LoadState
    ) -> None:
        """Called from any thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            loop.call_soon_threadsafe(self._set, model, state)

    def _set(self, model: ModelSettings, state: LoadState) -> None:
        if model == self._wanted:
            self._state = state
            self._on_change(self.status)
