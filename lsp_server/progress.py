"""The model's loading as a progress bar in editors that can show one."""

from __future__ import annotations

import asyncio
import uuid

from lsprotocol import types
from pygls.progress import Progress

from polydraft.lsp_server.messages import State, Status


class LoadingProgress:
    """Follows the status: a bar appears with `loading` and goes with anything else."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._latest: Status | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def follow(self, status: Status) -> None:
        self._latest = status
        self._changed.set()
        if status.state is State.LOADING and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._show())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _show(self) -> None:
        token = f"polydraft-loading-{uuid.uuid4()}"
        try:
            await self._progress.create_async(token)
        except Exception:
            return  # the editor declined; `polydraft/status` tells the same
        assert self._latest is not None
        title = f"polydraft: {self._latest.model}"
        self._progress.begin(
            token, types.WorkDoneProgressBegin(title=title, cancellable=False, percentage=0)
        )
        while self._latest.state is State.LOADING:
            percentage = None
            if self._latest.progress is not None:
                percentage = round(100 * self._latest.progress)
            self._progress.report(
                token,
                types.WorkDoneProgressReport(message=self._latest.message, percentage=percentage),
            )
            self._changed.clear()
            await self._changed.wait()
        self._progress.end(token, types.WorkDoneProgressEnd(message=self._latest.message))
