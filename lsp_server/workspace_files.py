"""The files of a workspace that are worth reading, those near the file being edited first."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from polydraft.lsp_server.source_files import LARGEST_FILE, source

_MOST_FILES = 5_000  # that are wanted
_MOST_FOLDERS = 20_000
# Other people's code, by far more of it than the user's own. Hidden folders are left out as well.
_NOT_OWN = frozenset({"node_modules", "site-packages", "venv", "__pycache__"})


def nearest_first(
    root: Path,
    near: Path,
    is_wanted: Callable[[Path], bool],
    is_excluded: Callable[[Path], bool],
) -> Iterator[Path | None]:
    """The wanted files below `root`: first those below the folder `near`, then those below its
    parent, and so on up to the root.

    None is given for each folder, so that whoever iterates can stop. Links are not followed, no
    excluded folder is entered; whether a file is excluded is for the caller to ask.
    """
    starts = [folder for folder in (near, *near.parents) if folder.is_relative_to(root)]
    entered: set[str] = set()
    files = 0
    for start in starts or [root]:
        folders = [str(start)]
        while folders and len(entered) < _MOST_FOLDERS:
            folder = folders.pop()
            if folder in entered or (Path(folder) != root and is_excluded(Path(folder))):
                continue
            entered.add(folder)
            yield None
            below, inside = _split(folder)
            for path in filter(is_wanted, inside):
                yield path
                files += 1
                if files == _MOST_FILES:
                    return
            folders += reversed(below)


def read_source(path: Path) -> str | None:
    """The text of a file on disk; None if it is gone, large, generated or no text."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        return None if len(content) > LARGEST_FILE else source(content.decode("utf-8-sig"))
    except (OSError, ValueError):
        return None


def _split(folder: str) -> tuple[list[str], list[Path]]:
    """The folders to enter and the plain files in a folder, in order; none if it cannot be read."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        below = [
            entry.path
            for entry in entries
            if entry.is_dir(follow_symlinks=False)
            and not entry.name.startswith(".")
            and entry.name not in _NOT_OWN
        ]
        return below, [
            Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)
        ]
    except OSError:
        return [], []
