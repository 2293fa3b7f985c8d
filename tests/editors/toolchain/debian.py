"""Programs of a Debian suite with that suite's libraries, unpacked into a folder.

Nothing is installed on the system. The program is told (by patchelf) to start with the loader
and the libraries that came along, so that a newer suite's program runs on an older one.

A package that has left the archive is taken from snapshot.debian.org; where that cannot be
reached either, the suite's present version stands in, held to the hash in the suite's own index.
"""

from __future__ import annotations

import functools
import io
import lzma
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.editors.toolchain.fetch import NotThere, fetch, hold_to, untar

MIRROR = "https://deb.debian.org/debian"
SNAPSHOT = "https://snapshot.debian.org/archive/debian/20261127T000000Z"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
_NOT_NEEDED = re.compile(
    r"usr/(share/(doc|man|info|lintian|locale|icons|gdb|gcc)|include)/|.*/gconv/"
)


def unpack(entry: dict[str, Any], into: Path) -> None:
    for name, path, sha256 in entry["debs"]:
        content = _package(name, f"pool/main/{path}", sha256, entry["suite"])
        untar(_data(content), into, keep=_kept)


def loader(folder: Path) -> Path:
    return folder / LIBRARIES / "ld-linux-x86-64.so.2"


def rows(suite: str, packages: Iterable[str]) -> Iterator[str]:
    """Rows for parts.toml."""
    for name in packages:
        stands = index_of(suite)[name]
        path = stands["Filename"].removeprefix("pool/main/")
        yield f'    ["{name}", "{path}", "{stands["SHA256"]}"],'


def _package(name: str, path: str, sha256: str, suite: str) -> bytes:
    for archive in (MIRROR, SNAPSHOT):
        try:
            return hold_to(fetch(f"{archive}/{path}"), sha256, path)
        except NotThere:
            continue
        except OSError:
            if archive == MIRROR:
                raise
    stands = index_of(suite)[name]
    print(f"{path} has left {MIRROR}; {suite} has {stands['Version']} now", file=sys.stderr)
    return hold_to(fetch(f"{MIRROR}/{stands['Filename']}"), stands["SHA256"], name)


@functools.cache
def index_of(suite: str) -> dict[str, dict[str, str]]:
    """The suite's packages and what is said of each."""
    content = fetch(f"{MIRROR}/dists/{suite}/main/binary-amd64/Packages.xz")
    packages = {}
    for block in lzma.decompress(content).decode().split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): (.*)$", block, re.MULTILINE))
        if fields:
            packages[fields["Package"]] = fields
    return packages


def _kept(path: str) -> str:
    path = path.removeprefix("./").rstrip("/")
    path = re.sub(r"^(lib|lib64)/", r"usr/\1/", path)
    return "" if path in ("", ".") or _NOT_NEEDED.match(path + "/") else path


def _data(package: bytes) -> bytes:
    """The archive of files in a package, which is an `ar` archive of three members."""
    stream = io.BytesIO(package)
    assert stream.read(8) == b"!<arch>\n"
    while header := stream.read(60):
        name, size = header[:16].decode().strip(), int(header[48:58])
        content = stream.read(size + size % 2)[:size]
        if name.startswith("data.tar"):
            return content
    raise ValueError("no data.tar in the package")
