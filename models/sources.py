"""Tries a model's sources in order until one delivers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from polydraft.models import archives, hub
from polydraft.models.errors import ChecksumError, NoSourceError, SourceError
from polydraft.models.manifest import sha256_of
from polydraft.models.model_files import missing_files
from polydraft.models.progress import Progress
from polydraft.models.recognise import is_gguf
from polydraft.models.spec import ArchiveSource, HubSource, LocalSource, ModelSpec, Source


@dataclass(frozen=True, slots=True)
class Fetched:
    """A directory that loads as it is, or a GGUF file."""

    path: Path
    source: Source

    @property
    def needs_conversion(self) -> bool:
        return not self.path.is_dir()


def in_place(spec: ModelSpec) -> Path | None:
    """A directory that needs neither download nor conversion, or None. Touches no network."""
    for source in spec.sources:
        if isinstance(source, LocalSource):
            if source.path.is_dir() and not missing_files(source.path):
                return source.path
        elif (
            isinstance(source, HubSource)
            and source.file is None
            and (path := hub.cached(source)) is not None
        ):
            return path
    return None


def fetch(spec: ModelSpec, directory: Path, progress: Progress) -> Fetched:
    """Get the model's files, downloading below `directory`. `NoSourceError` if no source can."""
    failures: list[tuple[str, str]] = []
    for source in spec.sources:
        try:
            return Fetched(_fetch_one(spec, source, directory, progress), source)
        except SourceError as error:
            failures.append((str(source), str(error)))
    raise NoSourceError(spec.name, failures)


def _fetch_one(spec: ModelSpec, source: Source, directory: Path, progress: Progress) -> Path:
    match source:
        case LocalSource(path):
            return _local(path, spec.sha256, progress)
        case HubSource():
            return hub.fetch(source, spec.sha256, directory, progress)
        case ArchiveSource():
            assert spec.bytes is not None and spec.sha256 is not None  # ModelSpec checks it
            return archives.fetch(source, spec.bytes, spec.sha256, directory, progress)


def _local(path: Path, sha256: str | None, progress: Progress) -> Path:
    if is_gguf(path):
        if sha256 is not None and (actual := sha256_of(path, progress)) != sha256:
            raise ChecksumError(f"has sha256 {actual} instead of {sha256}.")
        return path
    if not path.exists():
        raise SourceError("does not exist.")
    if not path.is_dir():
        raise SourceError("is neither a directory nor a GGUF file.")
    if missing := missing_files(path):
        raise SourceError(f"has no {', '.join(missing)}.")
    return path
