"""The models of one workspace: the small one serves as soon as it is there, the large one joins it.

The large model is asked for when the small one is loaded, so that it delays no draft. Whatever is
wrong with it, the small one goes on alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from polydraft.completion.protocols import Completer
from polydraft.lsp_server.completers import CompleterPool, Failed, Loaded, Loading, LoadState
from polydraft.lsp_server.messages import LargeState, State, Status
from polydraft.lsp_server.settings import Models
from polydraft.lsp_server.shared_model import SharedModel


@dataclass(frozen=True, slots=True, eq=False)
class InUse:
    """What answers requests: the `small` model alone, or a pair, whose token ids are `small`'s."""

    completer: Completer
    small: Completer

    @property
    def paired(self) -> bool:
        return self.completer is not self.small


@dataclass(frozen=True, slots=True)
class Voice:
    """Who hears of a workspace's models: each status, what the user must be told, and that another
    completer answers from now on."""

    status: Callable[[Status], None]
    warn: Callable[[str], None]
    joined: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Large:
    """The part of a status that is about the large model."""

    state: LargeState = LargeState.NONE
    message: str = ""
    progress: float | None = None


class ModelPair:
    """All methods run on the event loop's thread."""

    def __init__(self, pool: CompleterPool, root_uri: str | None, voice: Voice) -> None:
        self._pool = pool
        self._root_uri = root_uri
        self._voice = voice
        self._models = Models()
        self._small = SharedModel(pool, self._small_changed)
        self._large = SharedModel(pool, self._large_changed)
        self._joining: asyncio.Future[Completer] | None = None
        self._joined: Completer | None = None
        self._trouble = ""  # why the two do not work together
        self._reminded_of: LoadState | None = None

    @property
    def in_use(self) -> InUse | None:
        """None if no model is ready."""
        small = self._small.completer
        return None if small is None else InUse(self._joined or small, small)

    def want(self, models: Models) -> bool:
        """Use these models from now on; what had failed is tried again.

        Returns whether the small one had to be asked for.
        """
        before, self._models = self._models, models
        asked = self._small.want(models.small, models.memory_bytes)
        if models.large is None:
            self._large.release()
        elif not asked:
            self._want_large()
        else:  # of use when the small one is there
            self._large.release()
        if asked or self._trouble or _roles(models) != _roles(before):
            self._join()
            if not asked:
                self._voice.status(self.status)
        return asked

    def release(self) -> None:
        self._small.release()
        self._large.release()
        self._joining = self._joined = None

    def notice(self, text: str) -> None:
        """The pair has something to say to the user: say it once."""
        if text != self._trouble:
            self._trouble = text
            self._voice.warn(text)
            self._voice.status(self.status)

    def remind(self) -> None:
        """Say once more why there is nothing: a request was just answered without drafts."""
        if self._reminded_of is not self._small.state:
            self._reminded_of = self._small.state
            self._voice.status(self.status)

    # --- what becomes of them ---

    def _small_changed(self, state: LoadState) -> None:
        if isinstance(state, Loaded):
            self._want_large()
            self._join()
        self._voice.status(self.status)

    def _want_large(self) -> None:
        if self._models.large is not None and self._small.completer is not None:
            self._large.want(self._models.large, self._models.memory_bytes)

    def _large_changed(self, state: LoadState) -> None:
        if isinstance(state, Loaded):
            self._join()
        elif isinstance(state, Failed):
            self._alone(f"could not be loaded: {state.message}")
        self._voice.status(self.status)

    def _join(self) -> None:
        """Have the two work together, if both are there."""
        small, large = self._small.completer, self._large.completer
        self._joining, self._joined, self._trouble = None, None, ""
        if small is not None and large is not None:
            pair = partial(self._pool.provider.pair, small, large, self._models.switching)
            self._joining = asyncio.get_running_loop().run_in_executor(None, pair)
            self._joining.add_done_callback(self._have_joined)

    def _have_joined(self, joining: asyncio.Future[Completer]) -> None:
        error = None if joining.cancelled() else joining.exception()
        if joining is not self._joining:
            return
        self._joining = None
        if error is not None:
            self._trouble = str(error) or type(error).__name__
            self._alone(f"cannot work with it: {self._trouble}")
        else:
            self._joined = joining.result()
            self._voice.joined()
        self._voice.status(self.status)

    def _alone(self, why: str) -> None:
        assert self._models.large is not None
        small, large = self._models.small.name, self._models.large.name
        self._voice.warn(f"{small} drafts alone, since the large model {large} {why}")

    # --- what is said of them ---

    @property
    def status(self) -> Status:
        name, large = self._models.small.name, self._models.large
        about = self._about_large()
        progress = about.progress
        match self._small.state:
            case Loaded():
                state, message = State.READY, self._summary(about)
            case Failed(message):
                state = State.ERROR
            case Loading(message, progress):
                state = State.LOADING
        return Status(
            state,
            message,
            name,
            progress,
            self._root_uri,
            large.name if large is not None else None,
            about.state,
            about.message,
        )

    def _about_large(self) -> _Large:
        if self._models.large is None or isinstance(self._small.state, Failed):
            return _Large()
        if isinstance(self._small.state, Loading):
            return _Large(LargeState.LOADING, f"Waiting for {self._models.small.name}")
        match self._large.state:
            case Failed(message):
                return _Large(LargeState.ERROR, message)
            case Loading(message, fraction):
                return _Large(LargeState.LOADING, message, fraction)
        if self._trouble:
            return _Large(LargeState.ERROR, self._trouble)
        if self._joined is None:
            return _Large(LargeState.LOADING, "Joining the two models")
        return _Large(LargeState.READY)

    def _summary(self, about: _Large) -> str:
        small = self._models.small.name
        large = self._models.large.name if self._models.large is not None else ""
        match about.state:
            case LargeState.NONE:
                return f"{small} is ready."
            case LargeState.LOADING:
                return f"{small} is ready; loading {large}."
            case LargeState.READY:
                return f"{small} and {large} are ready."
            case LargeState.ERROR:
                return f"{small} is ready, without {large}: {about.message}"


def _roles(models: Models) -> tuple[object, ...]:
    """What two completers are joined by; not how much memory they may take."""
    return models.small, models.large, models.switching
