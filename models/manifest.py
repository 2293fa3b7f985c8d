"""`manifest.json`: what a converted model consists of and where it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polydraft.models.errors import CorruptModelError
from polydraft.models.progress import Progress, silent

FORMAT = 1
NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class FileEntry:
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`source` says what the GGUF file was fetched from, `source_sha256` is that file's hash."""

    format: int
    spec: str
    source: str
    source_sha256: str
    dtype: str
    tensors: int
    versions: Mapping[str, str]
    files: Mapping[str, FileEntry]

    def write(self, directory: Path) -> None:
        text = json.dumps(asdict(self), indent=2) + "\n"
        (directory / NAME).write_text(text, encoding="utf-8")


def read(name: str, directory: Path) -> Manifest:
    """The manifest of the model `name`, sizes checked; `CorruptModelError` if anything is off."""
    try:
        raw: dict[str, Any] = json.loads((directory / NAME).read_text(encoding="utf-8"))
        files = {file: FileEntry(**entry) for file, entry in raw.pop("files").items()}
        manifest = Manifest(**raw, files=files)
    except FileNotFoundError:
        raise CorruptModelError(name, directory, f"{NAME} is missing") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptModelError(name, directory, f"{NAME} cannot be read ({error})") from None
    if manifest.format != FORMAT:
        reason = f"it was written in format {manifest.format}, this version reads {FORMAT}"
        raise CorruptModelError(name, directory, reason)
    for file, entry in manifest.files.items():
        path = directory / file
        if not path.is_file():
            raise CorruptModelError(name, directory, f"{file} is missing")
        if (size := path.stat().st_size) != entry.bytes:
            reason = f"{file} has {size:,} bytes instead of {entry.bytes:,}"
            raise CorruptModelError(name, directory, reason)
    return manifest


def verify(name: str, directory: Path, progress: Progress = silent) -> Manifest:
    """Like `read`, and every file's hash is computed and compared."""
    manifest = read(name, directory)
    for file, entry in manifest.files.items():
        if sha256_of(directory / file, progress) != entry.sha256:
            raise CorruptModelError(name, directory, f"{file} does not match its hash")
    return manifest


def sha256_of(path: Path, progress: Progress = silent) -> str:
    """Hash of a file, reported as stage `verify`."""
    digest = hashlib.sha256()
    total, done = path.stat().st_size, 0
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
            done += len(block)
            progress("verify", done, total)
    return digest.hexdigest()
