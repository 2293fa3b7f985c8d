"""A program on a real terminal (tmux): keys in, the screen out."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# Seconds for what should take milliseconds, on a busy machine.
DEADLINE = float(os.environ.get("POLYDRAFT_TEST_DEADLINE", "20"))


class Terminal:
    def __init__(self, tmux: Path, columns: int = 80, rows: int = 24) -> None:
        self._base = [str(tmux), "-L", f"polydraft-{uuid.uuid4().hex}", "-f", os.devnull]
        self._size = ["-x", str(columns), "-y", str(rows)]

    def start(
        self, command: Sequence[str | Path], environment: Mapping[str, str], folder: Path
    ) -> None:
        settings = {"TERM": "screen-256color", "LC_ALL": "C.UTF-8", **environment}
        words = ["env", *(f"{key}={value}" for key, value in settings.items()), *map(str, command)]
        self._tmux("new-session", "-d", *self._size, "-c", str(folder), "-s", "s", *words)

    def keys(self, *names: str) -> None:
        """Keys by tmux's names: `C-x`, `M-]`, `Enter`."""
        self._tmux("send-keys", "-t", "s", *names)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-t", "s", "-l", text)

    def screen(self, *, colours: bool = False) -> str:
        shown = self._tmux("capture-pane", "-t", "s", "-p", *(["-e"] if colours else []))
        return "\n".join(line.rstrip() for line in shown.split("\n")).rstrip() + "\n"

    def wait_for(
        self, holds: str | Callable[[str], bool], seconds: float = DEADLINE, every: float = 0.05
    ) -> str:
        """The screen, once it shows a text or something holds of it."""
        end = time.monotonic() + seconds
        while True:
            shown = self.screen()
            if holds in shown if isinstance(holds, str) else holds(shown):
                return shown
            assert time.monotonic() < end, f"after {seconds:.0f} s not seen: {holds}\n{shown}"
            time.sleep(every)

    def stop(self) -> None:
        self._tmux("kill-server")

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run([*self._base, *arguments], capture_output=True, text=True, timeout=20)
        return done.stdout
