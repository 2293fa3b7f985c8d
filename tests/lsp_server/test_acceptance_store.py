"""The file of outcomes: private, shared by processes, and never in the way."""

from __future__ import annotations

import logging
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from polydraft.lsp_server.acceptance import About, Outcome
from polydraft.lsp_server.acceptance_store import AcceptanceStore, Recorder, Stored

OUTCOME = Outcome(About("small", "large", "beam", "go"), 700, 12, 5, (4, None))


@pytest.fixture
def store(tmp_path: Path) -> AcceptanceStore:
    return AcceptanceStore(tmp_path / "new" / "acceptance.sqlite3")


def test_what_is_added_is_read_again_by_time(store: AcceptanceStore) -> None:
    assert store.read() == [] and not store.path.exists()
    store.add(OUTCOME, 20.0)
    store.add(OUTCOME, 10.0)
    assert store.read() == [Stored(10.0, OUTCOME), Stored(20.0, OUTCOME)]
    assert store.read(since=15) == [Stored(20.0, OUTCOME)]
    assert store.clear() and store.read() == [] and not store.clear()


def test_only_the_user_can_read_it_and_it_holds_no_text(store: AcceptanceStore) -> None:
    store.add(OUTCOME, 1.0)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    (row,) = sqlite3.connect(store.path).execute("SELECT * FROM outcomes")
    assert [each for each in row if isinstance(each, str)] == ["small", "large", "beam", "go"]


@pytest.mark.parametrize("content", [b"no database at all " * 99, b"PRAGMA user_version = 99"])
def test_a_file_that_is_none_of_ours_is_moved_aside(
    store: AcceptanceStore, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store.path.parent.mkdir()
    if content.startswith(b"PRAGMA"):
        sqlite3.connect(store.path).execute(content.decode())
    else:
        store.path.write_bytes(content)
    store.add(OUTCOME, 5.0)
    assert len(store.read()) == 1
    assert [path.name for path in store.path.parent.iterdir() if "damaged" in path.name]
    assert "was moved to" in caplog.text


def test_several_processes_may_write_at_once(store: AcceptanceStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at: AcceptanceStore(store.path).add(OUTCOME, at), range(40)))
    assert len(store.read()) == 40


def test_a_recorder_writes_all_before_it_closes_and_survives_a_full_disk(
    store: AcceptanceStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(store)
    for _ in range(5):
        recorder.add(OUTCOME)
    recorder.close()
    assert len(store.read()) == 5
    (tmp_path / "file").write_text("")
    broken = Recorder(AcceptanceStore(tmp_path / "file" / "x.sqlite3"))
    with caplog.at_level(logging.WARNING):
        broken.add(OUTCOME)
        broken.close()
    assert "could not be kept" in caplog.text
