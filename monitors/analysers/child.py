"""A child process that is asked and answers, and that never outlives who started it.

It gets a process group of its own, so that what it starts ends with it, and is ended by SIGKILL,
which a stopped process cannot put off either.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO, Generic, TypeVar

from polydraft.monitors.analysis import AnalyserError

T = TypeVar("T")

_LAST_LINES = 50  # of stderr, for messages


class Child(Generic[T]):
    """`read` takes the next message from its output: None at the end, `ValueError` for garbage."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        read: Callable[[IO[bytes]], T | None],
        folder: str | None = None,
    ) -> None:
        """`name` is for messages; raises `AnalyserError` if the program cannot be started."""
        self.name = name
        self._read = read
        self._messages: queue.SimpleQueue[T | AnalyserError] = queue.SimpleQueue()
        self._unsent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._complaints: deque[str] = deque(maxlen=_LAST_LINES)
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            raise AnalyserError(f"{name} could not be started ({error}).") from error
        self._threads = [
            threading.Thread(target=work, name=f"{name} {what}", daemon=True)
            for work, what in (
                (self._listen, "output"),
                (self._collect, "complaints"),
                (self._write, "input"),
            )
        ]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, data: bytes) -> None:
        """Never blocks, though it may be read late or never; raises `AnalyserError` if it has
        ended."""
        if not self.alive:
            raise AnalyserError(self._ended())
        self._unsent.put(data)

    def receive(self, until: float) -> T:
        """The next message; raises `AnalyserError` if it has ended or says nonsense, `TimeoutError`
        if none has come at `until`, a time of `time.monotonic`."""
        try:
            message = self._messages.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(message, AnalyserError):
            self._messages.put(message)  # it stays at its end
            raise message
        return message

    def memory(self) -> int:
        """Resident bytes of the process itself; 0 where that cannot be told."""
        try:
            with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            return 0

    def kill(self) -> None:
        """End it and all that it started, and wait for that. Idempotent, from any thread."""
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()
        self._unsent.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(1.0)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _write(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it has ended: its output will tell
            while (data := self._unsent.get()) is not None:
                self._process.stdin.write(data)
                self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            while (message := self._read(self._process.stdout)) is not None:
                self._messages.put(message)
        except ValueError as error:
            self._messages.put(AnalyserError(f"{self.name} answers nonsense ({error})."))
            return
        except OSError:
            pass
        self._messages.put(AnalyserError(self._ended()))

    def _collect(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stderr:
                if text := line.decode("utf-8", "replace").strip():
                    self._complaints.append(text)

    def _ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)  # its exit status comes a moment behind the end of its output
        status = self._process.returncode
        how = "" if status is None else f" (exit status {status})"
        lines = list(self._complaints)
        # A backtrace says what is wrong in its first line.
        told = next((line for line in lines if "error" in line.lower()), (lines or [""])[-1])
        said = f": {told}" if told else ""
        return f"{self.name} has ended{how}{said.rstrip('.')}."
