"""Processes that are asked and answer, or do not."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import IO

import pytest

from polydraft.monitors.analysers.child import Child
from polydraft.monitors.analysis import AnalyserError


def line(output: IO[bytes]) -> bytes | None:
    return output.readline() or None


def child(script: str) -> Child[bytes]:
    return Child("it", [sys.executable, "-c", script], line)


def soon() -> float:
    return time.monotonic() + 30


def test_it_is_asked_and_answers():
    it = child("import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)")
    it.send(b"a\n")
    it.send(b"b\n")
    assert [it.receive(soon()), it.receive(soon())] == [b"A\n", b"B\n"]
    assert it.alive and it.memory() > 0
    it.kill()
    assert not it.alive


def test_who_asks_one_that_reads_nothing_is_not_held_up():
    it = child("import time; time.sleep(60)")
    it.send(b"x" * 4_000_000)  # far more than a pipe holds
    with pytest.raises(TimeoutError):
        it.receive(time.monotonic() + 0.1)
    it.kill()
    with pytest.raises(AnalyserError, match="it has ended"):
        it.send(b"x")


def test_its_last_words_are_told():
    it = child("import sys; sys.exit('no such file')")
    for _ in range(2):  # and again
        with pytest.raises(AnalyserError, match=r"it has ended \(exit status 1\): no such file"):
            it.receive(soon())
    it.kill()


def test_of_a_backtrace_the_line_that_says_what_is_wrong_is_told():
    it = child("import sys; sys.exit('error: no toolchain\\n\\n 1: <unknown>')")
    with pytest.raises(AnalyserError, match="no toolchain"):
        it.receive(soon())
    it.kill()


def test_what_it_has_started_ends_with_it():
    it = child(
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(p.pid, flush=True)\ntime.sleep(60)"
    )
    grandchild = int(it.receive(soon()))
    it.kill()
    deadline = soon()
    while os.path.exists(f"/proc/{grandchild}") and "Z" not in _state(grandchild):
        assert time.monotonic() < deadline


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_it_may_be_killed_from_several_threads_at_once():
    it = child("import time; time.sleep(60)")
    threads = [threading.Thread(target=it.kill) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not it.alive and not any(thread.is_alive() for thread in threads)
