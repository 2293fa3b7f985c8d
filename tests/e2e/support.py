"""Real places in real code, and an editor's arithmetic on them."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polydraft.completion.syntax import parses

# Statements on one line; the cursor stands behind the part in the group.
_STATEMENT = re.compile(
    r"^(?:(?P<value>\s+(?:return|\w+(?:\.\w+)? =) )|(?P<call>\s+self\.\w+\())"
    r"(?P<truth>\S.{12,60})$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Point:
    """A place in a document from which the rest of the line was taken away."""

    path: Path
    before: str
    after: str
    truth: str

    @property
    def text(self) -> str:
        return self.before + self.after

    @property
    def uri(self) -> str:
        return self.path.as_uri()

    @property
    def position(self) -> tuple[int, int]:
        return position_after(self.before)


def copy_package(name: str, workspace: Path) -> Path:
    """The sources of an installed package as a project of its own; returns its folder."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).parent
    return shutil.copytree(
        source, workspace / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )


def real_points(path: Path, count: int) -> list[Point]:
    """`count` places spread over a Python file, at which one line has to be completed."""
    text = path.read_text(encoding="utf-8")
    assert parses(text, "python")
    found = []
    for match in _STATEMENT.finditer(text):
        before, after = text[: match.start("truth")], text[match.end("truth") :]
        truth = match["truth"]
        alone = "0" if match["value"] else "0)"
        if parses(before + alone + after, "python"):  # else the statement goes on below
            found.append(Point(path, before, after, truth))
    assert len(found) >= count
    return [found[(2 * i + 1) * len(found) // (2 * count)] for i in range(count)]


def position_after(before: str) -> tuple[int, int]:
    """Line and UTF-16 column of the end of `before`."""
    line = before.count("\n")
    return line, utf16(before[before.rfind("\n") + 1 :])


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def accept(text: str, range_: Mapping[str, Any], inserted: str) -> str:
    """The document after an editor has replaced the range (UTF-16 columns)."""

    def offset(position: Mapping[str, int]) -> int:
        lines = text.splitlines(keepends=True) + [""]
        line = lines[position["line"]].encode("utf-16-le")[: 2 * position["character"]]
        return sum(map(len, lines[: position["line"]])) + len(line.decode("utf-16-le"))

    return text[: offset(range_["start"])] + inserted + text[offset(range_["end"]) :]
