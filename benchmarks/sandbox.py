"""Runs a program that a model wrote: alone, for a few seconds, with nothing to break.

Run as a script, this file is the first thing in the child: it takes its own rights away, as far as
the kernel lets it, and becomes an interpreter that runs the program. What it could take away:

    network    a network namespace without a device
    processes  a process namespace: all of them end with the first
    files      every mount read-only, but for the empty working directory in memory

Where namespaces are not permitted (other systems, hardened kernels) the limits of time, memory,
file size, open files and processes still hold; `Verdict.isolated` says what there was. This is
meant against accidents: code that sets out to break a sandbox needs a stronger one.
"""

from __future__ import annotations

import ctypes
import os
import resource
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SECONDS = 5  # of wall time, and of processor time
_MEMORY, _FILE, _OPEN_FILES = 512 << 20, 1 << 20, 64
_LIMITS = (
    (resource.RLIMIT_CPU, SECONDS),
    (resource.RLIMIT_AS, _MEMORY),
    (resource.RLIMIT_FSIZE, _FILE),  # also of what is printed
    (resource.RLIMIT_NOFILE, _OPEN_FILES),
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_NPROC, 0),  # not enforced for root
)
# From <sched.h>, <sys/mount.h> and <linux/mount.h>
_NEWUSER, _NEWNET, _NEWPID, _NEWNS = 0x10000000, 0x40000000, 0x20000000, 0x00020000
_REC, _PRIVATE, _NOSUID, _NODEV = 0x4000, 0x40000, 0x2, 0x4
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _RDONLY = 442, -100, 0x8000, 0x1
_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>
_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Verdict:
    passed: bool  # it ran to its very end without an error
    timed_out: bool
    isolated: frozenset[str]  # of "network", "processes" and "files"


def run(program: str, seconds: float = SECONDS) -> Verdict:
    """Run Python source to its end. An early `sys.exit(0)` is no end: a secret comes last."""
    nonce = secrets.token_hex(16)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as out:
        source, empty = Path(folder) / "program.py", Path(folder) / "empty"
        source.write_text(f"{program}\nprint('\\n{nonce}', flush=True)\n", encoding="utf-8")
        empty.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(source)],
            cwd=empty,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=out,  # a file, since its size is limited
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
            timed_out = False
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        out.seek(0)
        lines = out.read(_FILE).decode("utf-8", "replace").splitlines()
    passed = not timed_out and lines[-1:] == [nonce]
    return Verdict(passed, timed_out, frozenset(lines[0].split()) if lines else frozenset())


def isolation() -> str:
    """What programs are kept from on this machine, in words."""
    held = run("").isolated
    missing = {"network", "processes", "files"} - held
    kept = f"Programs run isolated from: {', '.join(sorted(held)) or 'nothing'}."
    return f"{kept} NOT from: {', '.join(sorted(missing))}." if missing else kept


# In the child -----------------------------------------------------------------------------------


def _enter(source: str) -> None:
    """Never returns: the group, this process with it, is killed when the program has ended."""
    held = _isolate()
    os.write(1, f"{' '.join(held)}\n".encode())
    child = os.fork()  # the first process of the new namespace
    if child == 0:
        with suppress(OSError, AttributeError):  # even if it leaves the group
            _call("prctl", _DIES_WITH_PARENT, signal.SIGKILL)
        for limit, value in _LIMITS:
            with suppress(ValueError, OSError):  # a system that does not know this one
                resource.setrlimit(limit, (value, value))
        os.execve(sys.executable, [sys.executable, "-I", "-S", source], {})
    os.waitpid(child, 0)
    os.killpg(0, signal.SIGKILL)


def _isolate() -> list[str]:
    """Give up what can be given up; returns the names of what is gone."""
    user, group = os.getuid(), os.getgid()
    held = []
    with suppress(OSError, AttributeError):
        _unshare(_NEWUSER)
        # Unnamed users have no rights over anything once the program is executed.
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{_NOBODY} {user} 1"),
            ("gid_map", f"{_NOBODY} {group} 1"),
        ):
            Path(f"/proc/self/{name}").write_text(text)
        parts: dict[str, Callable[[], None]] = {
            "network": lambda: _unshare(_NEWNET),
            "files": _files_read_only,
            "processes": lambda: _unshare(_NEWPID),
        }
        for name, part in parts.items():
            with suppress(OSError):
                part()
                held.append(name)
    return held


def _files_read_only() -> None:
    """Every mount becomes read-only; over the working directory comes a small one in memory."""
    _unshare(_NEWNS)
    _call("mount", None, b"/", None, ctypes.c_ulong(_REC | _PRIVATE), None)
    attributes = (ctypes.c_uint64 * 4)(_RDONLY, 0, 0, 0)  # set, clear, propagation, namespace
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _call("syscall", *map(ctypes.c_long, (_MOUNT_SETATTR, _AT_FDCWD)), b"/",
          ctypes.c_long(_AT_RECURSIVE), attributes, size)  # fmt: skip
    here = os.getcwd()
    flags = ctypes.c_ulong(_NOSUID | _NODEV)
    _call("mount", b"tmpfs", here.encode(), b"tmpfs", flags, f"size={4 * _FILE}".encode())
    os.chdir(here)


def _unshare(flags: int) -> None:
    _call("unshare", flags)


def _call(function: str, *arguments: object) -> None:
    """Call the C library; OSError if it fails, AttributeError if it has no such function."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    _enter(sys.argv[1])
