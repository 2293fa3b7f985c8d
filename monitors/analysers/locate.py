"""Where the programs are that analysers need. Nothing of an untrusted workspace is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def workspace_python(root: Path, trusted: bool) -> str:
    """The interpreter of the workspace's own environment, else that of the active one; "": none.

    The active environment is the user's choice, not the workspace's.
    """
    for folder in _environments(root, trusted):
        for name in ("bin/python", "Scripts/python.exe"):
            if (folder / name).is_file():
                return str(folder / name)
    return ""


def _environments(root: Path, trusted: bool) -> Iterator[Path]:
    if trusted:
        yield from (root / name for name in (".venv", "venv", "env"))
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if os.environ.get(name):
            yield Path(os.environ[name])
