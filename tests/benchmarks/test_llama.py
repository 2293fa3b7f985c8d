from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import llama
from benchmarks.harness import Row
from polydraft.models import sources
from polydraft.models.errors import NoSourceError
from polydraft.models.registry import DEFAULT_SMALL, load_registry
from polydraft.models.sources import Fetched
from polydraft.models.spec import ModelSpec

ECHO = """
import json, sys
print(json.dumps({"version": "1"}), flush=True)
for line in sys.stdin:
    print(json.dumps({"heard": json.loads(line)}), flush=True)
"""


def test_a_worker_answers_each_question_and_ends_with_the_block() -> None:
    with llama.Worker([sys.executable, "-c", ECHO]) as worker:
        assert worker.about == {"version": "1"}
        assert worker.ask("steps", rows=3) == {"heard": {"do": "steps", "rows": 3}}
        assert worker.ask("prompt", ids=[1, 2]) == {"heard": {"do": "prompt", "ids": [1, 2]}}
    assert worker._process.returncode == 0


def test_a_worker_that_cannot_start_is_told_of() -> None:
    with pytest.raises(SystemExit, match="ended, status 3"):
        llama.Worker([sys.executable, "-c", "raise SystemExit(3)"])


def test_both_sides_take_turns_and_the_first_round_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(llama, "_REST_S", 0)
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return float(len(order))

    ours, theirs = llama.in_turn(lambda: side("ours"), lambda: side("theirs"), 2)
    assert order == ["ours", "theirs"] * 3
    assert (ours, theirs) == ([3, 5], [4, 6])


def test_the_ratio_is_the_median_over_the_turns() -> None:
    assert llama.compared("step", [0.01, 0.02, 0.04], [0.02, 0.02, 0.02], True, ">= 1.0") == [
        Row("step: polydraft", 20.0, "ms"),
        Row("step: llama.cpp", 20.0, "ms"),
        Row("step: llama.cpp / ours", 1.0, "x", ">= 1.0"),
    ]


def test_the_file_is_fetched_once_and_kept_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLYDRAFT_CACHE", str(tmp_path))
    fetched: list[Path] = []

    def fetch(spec: ModelSpec, directory: Path, progress: object) -> Fetched:
        directory.mkdir(parents=True)
        (directory / "part.gguf").write_bytes(b"GGUF")
        fetched.append(directory)
        return Fetched(directory / "part.gguf", spec.sources[0])

    monkeypatch.setattr(sources, "fetch", fetch)
    spec = load_registry().get(DEFAULT_SMALL)
    file = llama.gguf_file(spec)
    assert file.read_bytes() == b"GGUF"
    assert llama.gguf_file(spec) == file
    assert len(fetched) == 1 and list(file.parent.iterdir()) == [file]


def test_a_file_that_no_source_delivers_leaves_nothing_behind_that_counts_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLYDRAFT_CACHE", str(tmp_path))

    def fetch(spec: ModelSpec, directory: Path, progress: object) -> Fetched:
        raise NoSourceError(spec.name, [])

    monkeypatch.setattr(sources, "fetch", fetch)
    spec = load_registry().get(DEFAULT_SMALL)
    for _ in range(2):
        with pytest.raises(NoSourceError):
            llama.gguf_file(spec)
