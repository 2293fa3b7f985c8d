"""The models' loading as progress bars in editors that can show them."""

from __future__ import annotations

import asyncio
import uuid

from lsprotocol import types
from pygls.progress import Progress

from polydraft.lsp_server.messages import LargeState, State, Status


class LoadingProgress:
    """Follows the statuses of all folders: in each, one bar for each model as it loads."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str | None, _Bar] = {}  # by folder

    def follow(self, status: Status) -> None:
        bar = self._bars.get(status.root)
        if bar is not None and bar.follow(status):
            return
        model = _loading(status)
        if model is None:
            self._bars.pop(status.root, None)
        else:
            self._bars[status.root] = _Bar(self._progress, model, status)

    def stop(self) -> None:
        for bar in self._bars.values():
            bar.stop()


class _Bar:
    """One bar: it goes with the first status in which its model is not loading."""

    def __init__(self, progress: Progress, model: str, status: Status) -> None:
        self._progress = progress
        self._model = model
        self._latest = status
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._show())

    def follow(self, status: Status) -> bool:
        """Take the next status; whether this bar goes on."""
        if _loading(self._latest) != self._model:
            return False  # it has ended
        self._latest = status
        self._changed.set()
        return _loading(status) == self._model

    def stop(self) -> None:
        self._task.cancel()

    async def _show(self) -> None:
        token = f"polydraft-loading-{uuid.uuid4()}"
        try:
            await self._progress.create_async(token)
        except Exception:
            return  # the editor declined; `polydraft/status` tells the same
        title = f"polydraft: {self._model}"
        self._progress.begin(
            token, types.WorkDoneProgressBegin(title=title, cancellable=False, percentage=0)
        )
        while _loading(self._latest) == self._model:
            self._progress.report(token, _report(self._latest))
            self._changed.clear()
            await self._changed.wait()
        self._progress.end(token, types.WorkDoneProgressEnd(message=self._latest.message))


def _loading(status: Status) -> str | None:
    """The model that is being loaded."""
    if status.state is State.LOADING:
        return status.model
    return status.large if status.large_state is LargeState.LOADING else None


def _report(status: Status) -> types.WorkDoneProgressReport:
    message = status.message if status.state is State.LOADING else status.large_message
    percentage = None if status.progress is None else round(100 * status.progress)
    return types.WorkDoneProgressReport(message=message, percentage=percentage)
