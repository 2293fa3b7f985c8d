"""A model's way from the network into memory, shown on standard error while it lasts."""

from __future__ import annotations

import os
import warnings
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

_STAGES = {
    "wait": "Waiting for another polydraft that fetches {name}",
    "download": "Downloading {name}",
    "verify": "Checking {name} against its hash",
    "convert": "Converting {name} (once)",
    "load": "Loading {name}",
}


def quiet_libraries() -> None:
    """Keep the model libraries from writing to the terminal; call it before they are imported."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.simplefilter("ignore")


class LoadingDisplay:
    """Bars on a terminal, elsewhere one line for each stage. `report` is a `models.Progress`.

    `note` says whose packaging the weights come from; it is shown if they are downloaded.
    """

    def __init__(self, console: Console, name: str, note: str = "") -> None:
        self._console = console
        self._name = name
        self._note = note
        self._stage = ""
        self._bars = (
            Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            ),
            Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                console=console,
                transient=True,
            ),
        )
        self._shown: tuple[Progress, TaskID] | None = None
        self._downloaded = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hide()
        if kind is KeyboardInterrupt and self._downloaded:
            raise KeyboardInterrupt(
                "What was downloaded is kept; the same command goes on from there."
            ) from None

    def report(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self._begin(stage, total)
        if self._shown is not None:
            bars, task = self._shown
            bars.update(task, completed=done, total=total or None)

    def _begin(self, stage: str, total: int) -> None:
        self._stage = stage
        self._hide()
        text = _STAGES.get(stage, stage).format(name=self._name)
        if stage == "download" and not self._downloaded:
            self._downloaded = True
            if self._note:
                self._console.print(escape(self._note), style="dim", soft_wrap=True)
        if self._console.is_terminal:
            bars = self._bars[0 if total else 1]
            self._shown = bars, bars.add_task(escape(text), total=total or None)
            bars.start()
        elif stage != "load":  # takes seconds, and happens every time
            size = f" ({total / 1e6:,.0f} MB)" if total else ""
            self._console.print(escape(f"{text}{size} ..."), soft_wrap=True, highlight=False)

    def _hide(self) -> None:
        if self._shown is not None:
            bars, task = self._shown
            bars.stop()
            bars.remove_task(task)
            self._shown = None
