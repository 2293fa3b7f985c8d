from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import workspaces
from benchmarks.workspaces import Source

SHA256 = "sha256-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
SHA512 = (
    "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0"
    "/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="
)


@pytest.mark.parametrize(
    ("pin", "fits"), [(SHA256, True), (SHA512, True), (SHA256[:-1] + "e", False)]
)
def test_a_pin_is_a_hash_as_pip_or_npm_writes_it(pin: str, fits: bool) -> None:
    assert workspaces.fits(pin, b"abc") is fits


def test_every_language_has_its_share_of_pinned_projects_in_both_splits() -> None:
    sources = workspaces.sources()
    assert len({source.name for source in sources}) == len(sources)
    for language, least in (("python", 3), ("typescript", 3), ("cpp", 3)):
        for split in ("dev", "test"):
            mine = [s for s in sources if s.language == language and s.split == split]
            assert len(mine) >= least
    assert all(s.pin.startswith("sha512-" if s.npm else "sha256-") for s in sources)


def packed(source: Source) -> bytes:
    """An archive with one file, in the form of the source's registry."""
    data = io.BytesIO()
    if source.npm:
        with tarfile.open(fileobj=data, mode="w:gz") as tar:
            entry = tarfile.TarInfo("package/src/a.ts")
            entry.size = 3
            tar.addfile(entry, io.BytesIO(b"abc"))
    else:
        with zipfile.ZipFile(data, "w") as wheel:
            wheel.writestr("src/a.ts", "abc")
    return data.getvalue()


@pytest.mark.parametrize("npm", [False, True])
def test_an_archive_is_unpacked_if_it_is_what_is_pinned(
    npm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLYDRAFT_CACHE", str(tmp_path))
    source = Source("a", "cpp", "@b/a", "1.0", "sha256-0", "src", "dev", npm=npm)
    archive = source.home / ("a-1.0.tgz" if npm else "a-1.0-py3-none-any.whl")
    source.home.mkdir(parents=True)
    data = packed(source)
    archive.write_bytes(data)
    with pytest.raises(SystemExit, match="is not what"):
        workspaces.root(source)
    assert not archive.exists() and not (source.home / "root").exists()
    archive.write_bytes(data)
    pinned = replace(source, pin=f"sha256-{hashlib.sha256(data).hexdigest()}")
    assert (workspaces.root(pinned) / "src" / "a.ts").read_text() == "abc"
    settings = workspaces.settings(replace(pinned, include=("src",)))
    assert f"-I{settings.root}/src" in (Path(settings.root) / "compile_flags.txt").read_text()
