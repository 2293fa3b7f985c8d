"""Tiny wheels in a directory that the real pip takes for its only package index."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from polydraft.models.spec import ArchiveSource, ModelSpec


def use_wheels(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """pip finds wheels in `directory` and nowhere else."""
    directory.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


def write_wheel(directory: Path, name: str, version: str, member: str, data: bytes) -> Path:
    """A wheel that pip accepts, with one file of data in it."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    path = directory / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, data)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        archive.writestr(f"{info}/METADATA", metadata)
        wheel = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", wheel)
        archive.writestr(f"{info}/RECORD", "")
    return path


def split_into_wheels(directory: Path, data: bytes, parts: int) -> ArchiveSource:
    """Cut `data` into the members of `parts` wheels, the way real model packages are."""
    source = ArchiveSource("tiny-part{n}", "1.0", "tiny_part{n}/data/part{nn}.bin", parts)
    step = -(-len(data) // parts)
    for number in range(1, parts + 1):
        chunk = data[(number - 1) * step : number * step]
        write_wheel(directory, source.package_of(number), "1.0", source.member_of(number), chunk)
    return source


def pinned_spec(name: str, data: bytes, sources: Sequence[ArchiveSource]) -> ModelSpec:
    digest = hashlib.sha256(data).hexdigest()
    return ModelSpec(name=name, sources=tuple(sources), bytes=len(data), sha256=digest)
