"""One of the pool's models as a workspace sees it, with its news told on the event loop."""

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
from polydraft.lsp_server.settings import ModelSettings


class SharedModel:
    """At most one model; `on_change` is called with each new state of it."""

    def __init__(self, pool: CompleterPool, on_change: Callable[[LoadState], None]) -> None:
        self.state: LoadState = Loading()
        self.wanted: ModelSettings | None = None
        self._pool = pool
        self._on_change = on_change
        self._listener: Listener | None = None

    @property
    def completer(self) -> Completer | None:
        """The loaded model, or None if it is not ready."""
        return self.state.completer if isinstance(self.state, Loaded) else None

    def want(self, model: ModelSettings, budget_bytes: int | None = None) -> bool:
        """Use this model from now on; load it if need be, again if that had failed.

        Returns whether anything had to be done. Must be called on the event loop.
        """
        if model == self.wanted and not isinstance(self.state, Failed):
            return False
        self.release()
        self.wanted = model
        self._listener = partial(self._hear, asyncio.get_running_loop(), model)
        self._pool.acquire(model, self._listener, budget_bytes)
        return True

    def release(self) -> None:
        if self.wanted is not None and self._listener is not None:
            self._pool.release(self.wanted, self._listener)
        self.wanted = self._listener = None
        self.state = Loading()

    def _hear(
        self, loop: asyncio.AbstractEventLoop, model: ModelSettings, state: LoadState
    ) -> None:
        """Called from any thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            loop.call_soon_threadsafe(self._set, model, state)

    def _set(self, model: ModelSettings, state: LoadState) -> None:
        if model == self.wanted:
            self.state = state
            self._on_change(state)
