"""The VS Code extension, built with the toolchain's Node where its sources lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tests.editors.toolchain.recipes import Tools, run_npm

SOURCES = Path(__file__).parents[3] / "editor-clients" / "vscode"
_MADE = {"node_modules", "dist", "out", ".vscode-test"}


def build(tools: Tools) -> Path:
    """`dist/polydraft.vsix`, and `npm ci` before it if other dependencies are pinned now."""
    package = SOURCES / "dist" / "polydraft.vsix"
    modules = SOURCES / "node_modules"
    if _changed(modules / ".pinned", pinned := _hash([SOURCES / "package-lock.json"])):
        run_npm(tools, SOURCES, "ci", "--ignore-scripts")
        (modules / ".pinned").write_text(pinned, "utf-8")
    made = _hash(_sources())
    if not package.exists() or _changed(package.parent / ".sources", made):
        run_npm(tools, SOURCES, "run", "package")
        (package.parent / ".sources").write_text(made, "utf-8")
    return package


def _sources() -> Iterator[Path]:
    for path in sorted(SOURCES.rglob("*")):
        if path.is_file() and not _MADE & set(path.relative_to(SOURCES).parts):
            yield path


def _changed(stamp: Path, now: str) -> bool:
    return not stamp.exists() or stamp.read_text("utf-8") != now


def _hash(files: Iterator[Path] | list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(SOURCES)}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
