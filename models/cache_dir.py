"""Where model files live, and the lock and the free-space check that guard them.

    <cache>/models/NAME/      a converted model: config.json, model.safetensors, tokenizer.json,
                              manifest.json
    <cache>/downloads/NAME/   what is on its way, resumable
    <cache>/locks/NAME.lock

Hub repositories that need no conversion stay in the hub's own cache and are used there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import platformdirs

from polydraft.models.errors import DiskSpaceError
from polydraft.models.progress import Progress, silent


def cache_root() -> Path:
    """The environment variable POLYDRAFT_CACHE, else the user's cache directory."""
    own = os.environ.get("POLYDRAFT_CACHE")
    return Path(own).expanduser() if own else Path(platformdirs.user_cache_dir("polydraft"))


def model_dir(root: Path, name: str) -> Path:
    return root / "models" / name


def download_dir(root: Path, name: str) -> Path:
    return root / "downloads" / name


@contextmanager
def locked(root: Path, name: str, progress: Progress = silent) -> Iterator[None]:
    """Hold the model's lock; waits for another process that holds it, reporting stage `wait`."""
    path = root / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        while not lock.is_locked:
            progress("wait", 0, 0)  # the callback may raise to give up
            try:
                lock.acquire(timeout=0.5)
            except filelock.Timeout:
                continue
    try:
        yield
    finally:
        lock.release()


def require_space(directory: Path, needed: int) -> None:
    """`DiskSpaceError` unless `needed` bytes are free where `directory` is or will be."""
    existing = directory
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise DiskSpaceError(directory, needed, free)
