"""`polydraft stats`: a table, JSON, a plot, and away with it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from polydraft.lsp_server.acceptance import About, Outcome
from polydraft.lsp_server.acceptance_store import AcceptanceStore, store_path
from polydraft.lsp_server.stats import groups, summary
from tests.cli.support import Shell
from tests.cli.test_json import check

GREEDY = About("small", "", "greedy", "python")
PAIR = About("small", "large", "beam", "go")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AcceptanceStore:
    monkeypatch.setenv("POLYDRAFT_STATE", str(tmp_path))
    return AcceptanceStore(store_path())


@pytest.fixture
def filled(store: AcceptanceStore) -> AcceptanceStore:
    now = time.time()
    store.add(Outcome(GREEDY, 900, 10), now - 40 * 86400)
    store.add(Outcome(GREEDY, 900, 10, 10, (10, 5)), now - 60)
    store.add(Outcome(GREEDY, 900, 10, 10, (4, None)), now - 50)
    store.add(Outcome(GREEDY, 900, 8, 4, (4, 4)), now - 40)
    store.add(Outcome(PAIR, 900, 10), now - 30)
    return store


def test_without_anything_kept_it_says_how_to_begin(shell: Shell, store: AcceptanceStore) -> None:
    result = shell("stats")
    assert result.code == 0
    assert '"metrics": true' in result.out
    assert not store.path.exists()
    assert shell("stats", "--json").json["groups"] == []


def test_the_table_counts_by_models_drafter_and_language(
    shell: Shell, filled: AcceptanceStore
) -> None:
    lines = [line.split() for line in shell("stats").out.splitlines()]
    assert lines[1][:8] == ["small", "greedy", "python", "4", "2", "1", "75", "%"]
    assert lines[1][9:] == ["24", "75", "%", "64", "%"]  # 18 of 24; 9 of the 14 that are known
    assert lines[2][:5] == ["small", "+", "large", "beam", "go"]
    assert lines[3][:2] == ["all", "5"]


def test_the_json_is_as_documented_and_days_limit_it(shell: Shell, filled: AcceptanceStore) -> None:
    found = shell("stats", "--json", "--days", "7").json
    check(found, "polydraft.stats/1")
    assert found["total"]["shown"] == 4
    assert [group["models"] for group in found["groups"]] == ["small", "small + large"]


def test_it_is_drawn_by_day(shell: Shell, filled: AcceptanceStore, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "drafts.svg"
    assert shell("stats", "--plot", str(picture)).code == 0
    assert "<svg" in picture.read_text()


def test_all_is_deleted_if_that_is_meant(shell: Shell, filled: AcceptanceStore) -> None:
    refused = shell("stats", "--clear")
    assert refused.code == 2 and "--yes" in refused.err
    assert filled.path.exists()
    assert shell("stats", "--clear", "--yes").code == 0
    assert not filled.path.exists()
    assert "Nothing was kept" in shell("stats", "--clear").out


def test_groups_add_up_to_the_whole(filled: AcceptanceStore) -> None:
    stored = filled.read()
    each = groups(stored).values()
    assert sum(one.shown for one in each) == summary(stored).shown == 5
    assert sum(one.characters for one in each) == summary(stored).characters == 24
