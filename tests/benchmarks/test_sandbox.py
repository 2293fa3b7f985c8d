from __future__ import annotations

import os
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from benchmarks import sandbox

ISOLATED = sandbox.run("").isolated


def without(part: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(part not in ISOLATED, reason=f"no isolation of {part} here")


def test_a_right_program_passes() -> None:
    assert sandbox.run("import math, typing\nassert math.sqrt(4) == 2").passed


@pytest.mark.parametrize(
    "program",
    [
        "assert 1 + 1 == 3",
        "this is no Python",
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "raise SystemExit",
        "import sys; sys.stdout.close()",
        "import ctypes; ctypes.string_at(0)",
        "print('a nonce is no guess')\nimport sys; sys.exit(0)",
    ],
)
def test_what_does_not_run_to_its_end_fails(program: str) -> None:
    verdict = sandbox.run(program)
    assert (verdict.passed, verdict.timed_out) == (False, False)


@pytest.mark.parametrize("program", ["while True: pass", "import time; time.sleep(60)"])
def test_an_endless_program_is_killed(program: str) -> None:
    verdict = sandbox.run(program, seconds=0.5)
    assert (verdict.passed, verdict.timed_out) == (False, True)


def test_a_program_cannot_have_all_memory() -> None:
    assert sandbox.run("x = bytearray(100 << 20)").passed
    assert not sandbox.run("x = bytearray(1 << 30)").passed


def test_a_program_writes_small_files_only_into_an_empty_directory() -> None:
    write = "open('a', 'wb').write(bytes({size}))"
    assert sandbox.run("import os; assert os.listdir() == []").passed
    assert sandbox.run(write.format(size=1000)).passed
    assert not sandbox.run(write.format(size=2 << 20)).passed


def test_a_program_that_prints_without_end_fails_and_leaves_no_megabytes() -> None:
    assert not sandbox.run("while True: print('x' * 1000)").passed


def test_a_program_sees_no_environment_and_no_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    assert sandbox.run("import os, sys; assert 'SECRET' not in os.environ").passed
    assert sandbox.run("import sys; assert sys.stdin.read() == ''").passed
    assert not sandbox.run("import benchmarks").passed
    assert not sandbox.run("import numpy").passed


@without("network")
def test_a_program_reaches_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), 1).close()  # from here it can be reached
        program = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"
        assert not sandbox.run(program).passed


@without("files")
def test_a_program_changes_no_file_outside_of_its_directory(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine")
    kept.chmod(0o666)
    assert not sandbox.run(f"open({str(kept)!r}, 'w')").passed
    assert not sandbox.run(f"import os; os.remove({str(kept)!r})").passed
    assert sandbox.run(f"assert open({str(kept)!r}).read() == 'mine'").passed
    assert kept.read_text() == "mine"


@without("processes")
def test_what_a_program_starts_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the number of processes is not limited (for root) and they leave the group."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sandbox.run("import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(60)")
    verdict = sandbox.run("import os, time\nos.setsid()\ntime.sleep(60)", seconds=1)
    assert verdict.timed_out
    settled = threading.Event()
    for _ in range(50):
        if not commands_with(str(tmp_path)):
            break
        settled.wait(0.1)  # the kernel ends them in its own time
    assert commands_with(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def commands_with(text: str) -> list[str]:
    """Command lines of all processes that mention `text`."""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{number}/cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if text in command:
            found.append(command)
    return found


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    held = frozenset({"files", "network"})
    monkeypatch.setattr(sandbox, "run", lambda _: sandbox.Verdict(True, False, held))
    assert sandbox.isolation() == (
        "Programs run isolated from: files, network. NOT from: processes."
    )
