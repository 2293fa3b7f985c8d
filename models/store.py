"""From a model's spec to a directory that loads: fetched, converted and checked when needed."""

from __future__ import annotations

import shutil
from pathlib import Path

from polydraft.models import manifest, sources
from polydraft.models.cache_dir import cache_root, download_dir, locked, model_dir, require_space
from polydraft.models.errors import ModelError
from polydraft.models.progress import Progress, silent
from polydraft.models.spec import ModelSpec


def is_ready(spec: ModelSpec, cache_dir: Path | None = None) -> Path | None:
    """The directory to load the model from, or None if it must be fetched or converted first.

    Touches no network. `CorruptModelError` if the cache holds it but not in full.
    """
    converted = model_dir(cache_dir or cache_root(), spec.name)
    if converted.is_dir():
        manifest.read(spec.name, converted)
        return converted
    return sources.in_place(spec)


def ensure_model(
    spec: ModelSpec,
    cache_dir: Path | None = None,
    progress: Progress = silent,
    *,
    force: bool = False,
) -> Path:
    """The directory to load the model from, after fetching and converting it if need be.

    Holds the model's lock meanwhile; a second process waits and then finds the result. `force`
    discards a converted model first. Errors: `ModelError`, with what to do; `OSError` where the
    cache cannot be written.
    """
    root = cache_dir or cache_root()
    if not force and (ready := is_ready(spec, root)) is not None:
        return ready
    with locked(root, spec.name, progress):
        if force:
            _discard(root, spec.name)
        if (ready := is_ready(spec, root)) is not None:
            return ready
        downloads, target = download_dir(root, spec.name), model_dir(root, spec.name)
        require_space(downloads, (spec.bytes or 0) + 2 * (spec.parameters or 0))
        fetched = sources.fetch(spec, downloads, progress)
        if not fetched.needs_conversion:
            return fetched.path
        from polydraft.models.convert import convert  # torch and transformers: seconds to import

        convert(
            fetched.path,
            target,
            name=spec.name,
            source=str(fetched.source),
            sha256=spec.sha256 or manifest.sha256_of(fetched.path, progress),
            progress=progress,
        )
        shutil.rmtree(downloads, ignore_errors=True)  # the manifest remembers the file's hash
        return target


def verify(spec: ModelSpec, cache_dir: Path | None = None, progress: Progress = silent) -> Path:
    """Compare every file of the converted model with its hash; returns its directory.

    `CorruptModelError` if one differs, `ModelError` if there is nothing to verify.
    """
    directory = model_dir(cache_dir or cache_root(), spec.name)
    if not directory.is_dir():
        raise ModelError(
            f"{spec.name!r} is not in the cache as a converted model, so there are no hashes to"
            f" compare. `polydraft models pull {spec.name}` fetches it."
        )
    manifest.verify(spec.name, directory, progress)
    return directory


def remove(spec: ModelSpec, cache_dir: Path | None = None) -> int:
    """Delete the model's converted files and downloads; returns the bytes freed.

    Files in the hub's cache or in a directory of the user's are left alone.
    """
    root = cache_dir or cache_root()
    with locked(root, spec.name):
        return _discard(root, spec.name)


def _discard(root: Path, name: str) -> int:
    freed = 0
    for directory in (model_dir(root, name), download_dir(root, name)):
        if directory.is_dir():
            freed += sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
            shutil.rmtree(directory)
    return freed
