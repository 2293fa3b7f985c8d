"""What control groups leave a process of the machine's memory: in a container, its limits count.

Linux groups processes in a tree, and a limit holds for all below it. Where the tree can be seen is
told by `/proc/self/mountinfo`, where the process stands in it by `/proc/self/cgroup`:

    version 2    memory.max             memory.current          memory.stat: active_file, …
    version 1    memory.limit_in_bytes  memory.usage_in_bytes   memory.stat: total_active_file, …

What is used includes pages of files that are only cached and make room when others want it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_NO_LIMIT = 1 << 62  # version 1 says a number as large as can be
_ESCAPED = re.compile(r"\\([0-7]{3})")  # how mountinfo writes a blank in a name


@dataclass(frozen=True, slots=True)
class _Names:
    """A version's files, and the lines of `memory.stat` that count what makes room."""

    limit: str
    used: str
    cached: tuple[str, str]


_VERSION_2 = _Names("memory.max", "memory.current", ("active_file", "inactive_file"))
_VERSION_1 = _Names(
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    ("total_active_file", "total_inactive_file"),
)


def memory_limit(process: Path = Path("/proc/self")) -> tuple[int | None, int | None]:
    """The smallest limit in bytes, and the least that any limit leaves free; None: there is none.

    What is missing, cannot be read or makes no sense is no limit.
    """
    limits: list[int] = []
    free: list[int] = []
    for folder, names in _groups(process):
        limit = _number(folder / names.limit)
        if limit is not None and limit < _NO_LIMIT:
            limits.append(limit)
            used = (_number(folder / names.used) or 0) - _cached(folder, names)
            free.append(max(0, limit - max(0, used)))
    return min(limits, default=None), min(free, default=None)


def _groups(process: Path) -> Iterator[tuple[Path, _Names]]:
    """The folders of the process's own groups and of all that contain them."""
    own = [line.split(":", 2) for line in _lines(process / "cgroup") if line.count(":") >= 2]
    for line in _lines(process / "mountinfo"):
        place, _, kind = line.partition(" - ")
        fields, kinds = place.split(), kind.split()
        if len(fields) < 5 or len(kinds) < 3:
            continue
        root, top = map(_unescaped, fields[3:5])
        for _, controllers, path in own:
            if kinds[0] == "cgroup2" and not controllers:
                names = _VERSION_2
            elif kinds[0] == "cgroup" and "memory" in set(controllers.split(",")) & set(
                kinds[2].split(",")
            ):
                names = _VERSION_1
            else:
                continue
            group, seen = PurePosixPath(path), PurePosixPath(root)
            if ".." in group.parts or not group.is_relative_to(seen):
                continue  # this mount shows another part of the tree
            below = group.relative_to(seen)
            for folder in (below, *below.parents):
                yield Path(top) / folder, names


def _cached(folder: Path, names: _Names) -> int:
    found = (line.split() for line in _lines(folder / "memory.stat"))
    values = (fields[1] for fields in found if len(fields) == 2 and fields[0] in names.cached)
    return sum(int(value) for value in values if value.isdecimal())


def _number(file: Path) -> int | None:
    text = "".join(_lines(file)).strip()
    return int(text) if text.isdecimal() else None  # "max": no limit


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []


def _unescaped(name: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), name)
