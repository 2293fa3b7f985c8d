"""How editors are installed, with small parts in the place of editors."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
import threading
from pathlib import Path

import pytest

from tests.editors.toolchain import MissingEditor, Toolchain, debian, fetch
from tests.editors.toolchain.parts import Part, all_parts, install

OLD = Part("thing", {"version": "1"})
NEW = Part("thing", {"version": "2"})


def write_program(part: Part, into: Path, final: Path) -> None:
    (into / "program").write_text(f"{part.version} at {final}")


def test_a_part_is_built_once_and_knows_where_it_stands(tmp_path: Path) -> None:
    built = []

    def build(part: Part, into: Path, final: Path) -> None:
        built.append(into)
        write_program(part, into, final)

    folder = install(tmp_path, OLD, build)
    assert install(tmp_path, OLD, build) == folder
    assert (folder / "program").read_text() == f"1 at {folder}"
    assert len(built) == 1 and built[0] != folder


def test_two_at_once_build_it_once(tmp_path: Path) -> None:
    built = []
    together = threading.Barrier(2)

    def build(part: Part, into: Path, final: Path) -> None:
        built.append(into)
        write_program(part, into, final)

    def want() -> None:
        together.wait()
        install(tmp_path, OLD, build)

    threads = [threading.Thread(target=want) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1


def test_what_fails_half_way_leaves_nothing_and_the_old_version_stands(tmp_path: Path) -> None:
    def fail(part: Part, into: Path, final: Path) -> None:
        write_program(part, into, final)
        raise OSError("no network")

    old = install(tmp_path, OLD, write_program)
    with pytest.raises(OSError, match="no network"):
        install(tmp_path, NEW, fail)
    assert {path.name for path in tmp_path.iterdir()} == {"locks", old.name}


def test_a_newer_version_takes_the_place_of_the_old(tmp_path: Path) -> None:
    old = install(tmp_path, OLD, write_program)
    new = install(tmp_path, NEW, write_program)
    assert new.exists() and not old.exists()


def test_another_recipe_of_the_same_version_is_another_part() -> None:
    assert Part("thing", {"version": "1", "sha256": "f"}).folder != OLD.folder


@pytest.mark.parametrize("wanted", ["0" * 64, "sha512-AAAA"])
def test_what_has_another_hash_is_refused(wanted: str) -> None:
    with pytest.raises(fetch.WrongHash, match="file.tgz"):
        fetch.hold_to(b"content", wanted, "file.tgz")


def tar(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))
    return stream.getvalue()


def deb(files: dict[str, str]) -> bytes:
    """A Debian package of files."""
    package = b"!<arch>\n"
    members = {"debian-binary": b"2.0\n", "data.tar.xz": lzma.compress(tar(files))}
    for name, content in members.items():
        package += f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(content):<10}`\n".encode()
        package += content + b"\n" * (len(content) % 2)
    return package


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Debian mirror in a folder; its suite has one package, in version 2."""
    mirror = tmp_path / "mirror"
    content = deb({"./usr/bin/thing": "two", "./usr/share/doc/thing/copyright": "long"})
    file = mirror / "pool/main/t/thing_2.deb"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    fields = {
        "Package": "thing",
        "Version": "2",
        "Filename": "pool/main/t/thing_2.deb",
        "SHA256": hashlib.sha256(content).hexdigest(),
    }
    index = mirror / "dists/new/main/binary-amd64/Packages.xz"
    index.parent.mkdir(parents=True)
    text = "".join(f"{key}: {value}\n" for key, value in fields.items())
    index.write_bytes(lzma.compress(text.encode()))

    def read(url: str) -> bytes:
        path = mirror / url.removeprefix(f"{debian.MIRROR}/")
        if not path.is_file():
            raise fetch.NotThere(url)
        return path.read_bytes()

    monkeypatch.setattr(debian, "fetch", read)
    debian.index_of.cache_clear()
    return mirror


def test_a_debian_package_is_unpacked_without_its_documentation(
    archive: Path, tmp_path: Path
) -> None:
    (row,) = debian.rows("new", ["thing"])
    name, path, sha256 = row.strip(" [],").replace('"', "").split(", ")
    debian.unpack({"suite": "new", "debs": [[name, path, sha256]]}, tmp_path / "into")
    found = [path for path in (tmp_path / "into").rglob("*") if path.is_file()]
    assert [path.relative_to(tmp_path / "into") for path in found] == [Path("usr/bin/thing")]


def test_a_package_that_left_the_archive_is_replaced_by_the_suites_own(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = {"suite": "new", "debs": [["thing", "t/thing_1.deb", "0" * 64]]}
    debian.unpack(entry, tmp_path / "into")
    assert (tmp_path / "into/usr/bin/thing").read_text() == "two"
    assert "new has 2 now" in capsys.readouterr().err


def test_a_package_that_was_changed_is_refused(archive: Path, tmp_path: Path) -> None:
    (archive / "pool/main/t/thing_2.deb").write_bytes(deb({"./usr/bin/thing": "evil"}))
    entry = {"suite": "new", "debs": [["thing", "t/thing_1.deb", "0" * 64]]}
    with pytest.raises(fetch.WrongHash):
        debian.unpack(entry, tmp_path / "into")


def test_without_leave_to_install_a_missing_editor_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    toolchain = Toolchain(tmp_path)
    with pytest.raises(MissingEditor, match="run `make editors`"):
        toolchain.node()
    with pytest.raises(MissingEditor, match="apt-get install .*tmux"):
        toolchain.tmux()
    assert list(tmp_path.iterdir()) == []


def test_the_table_pins_everything_by_hash() -> None:
    for part in all_parts().values():
        hashes = [part.entry.get("integrity") or part.entry.get("sha256")]
        hashes = [row[2] for row in part.entry["debs"]] if "debs" in part.entry else hashes
        assert all(hashes), part.name
