"""What can be installed, read from parts.toml, and where it goes.

    <cache>/editors/NAME-VERSION-RECIPE/     RECIPE: a hash of the part's entry in the table

A part is built in a folder beside its own and moved there when it is whole, so that what exists
works; older versions of it go when a newer one stands.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polydraft.models.cache_dir import locked

TABLE = Path(__file__).with_name("parts.toml")


@dataclass(frozen=True)
class Part:
    name: str
    entry: dict[str, Any]

    @property
    def version(self) -> str:
        return str(self.entry["version"])

    @property
    def folder(self) -> str:
        recipe = hashlib.sha256(json.dumps(self.entry, sort_keys=True).encode())
        return f"{self.name}-{self.version}-{recipe.hexdigest()[:8]}"


# Builds a part into a folder; the second path is where that folder will stand.
Builder = Callable[[Part, Path, Path], None]


def all_parts(table: Path = TABLE) -> dict[str, Part]:
    entries = tomllib.loads(table.read_text("utf-8"))
    return {name: Part(name, entry) for name, entry in entries.items()}


def install(root: Path, part: Part, build: Builder) -> Path:
    """The part's folder, built first where it does not stand yet."""
    target = root / part.folder
    with locked(root, part.name):
        if target.exists():
            return target
        building = Path(tempfile.mkdtemp(prefix=f".{part.folder}-", dir=root))
        try:
            building.chmod(0o755)
            build(part, building, target)
            building.rename(target)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        for other in root.glob(f"{part.name}-*"):
            if other != target:
                shutil.rmtree(other)
    return target
