from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import problems
from benchmarks.infilling import measures

PROMPT, SUFFIX = "def double(x):\n", "    return y\n"
TEST = "\ndef check(candidate):\n    assert candidate(2) == 4\n"


def problem(number: int = 0, lines: str = "L0_L0") -> problems.Problem:
    task = f"MultiLineInfilling/HumanEval/{number}/{lines}"
    return problems.Problem(task, "double", PROMPT, SUFFIX, "    y = 2 * x\n", TEST)


def written(path: Path, count: int) -> Path:
    entries = [problem(n) for n in range(count)]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for entry in entries:
            fields = {name: getattr(entry, name) for name in problems._FIELDS}
            file.write(json.dumps(fields | {"more": 1}) + "\n")
    return path


def test_the_file_asked_for_goes_before_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = written(tmp_path / "1.gz", 1), written(tmp_path / "2.gz", 2)
    monkeypatch.setenv(problems.VARIABLE, str(two))
    assert problems.data_file(one) == one
    assert problems.data_file(None) == two
    assert problems.read(two) == [problem(0), problem(1)]


def test_without_a_file_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(problems.VARIABLE, raising=False)
    with pytest.raises(SystemExit, match=f"No infilling.*{problems.PROJECT}.*--data FILE"):
        problems.data_file(None)
    with pytest.raises(SystemExit, match="nowhere is not a file.*--data FILE"):
        problems.data_file(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"{}"), gzip.compress(b"[")])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(SystemExit, match="holds no multi-line infilling problems"):
        problems.read(tmp_path / "x")


def test_what_is_missing_must_be_whole_lines() -> None:
    with pytest.raises(ValueError, match="whole lines"):
        problems.Problem("t", "f", "def f(): ", "", "return 1\n", "")


@given(st.permutations(range(12)), st.integers(0, 12), st.integers(0, 12))
def test_a_larger_sample_holds_the_smaller_whatever_the_files_order(
    order: list[int], small: int, large: int
) -> None:
    everything = [problem(n) for n in order]
    few, many = sorted((small, large))
    sample = problems.sample(everything, many)
    assert problems.sample([problem(n) for n in range(12)], few) == sample[:few]
    assert len(set(sample)) == many


def test_an_empty_line_stands_for_the_missing_ones() -> None:
    point = problem().point
    assert point.prefix + point.suffix == PROMPT + "\n" + SUFFIX
    assert point.prefix + point.truth + point.suffix == PROMPT + "    y = 2 * x\n" + SUFFIX
    assert point.kind == "block"


def test_a_right_completion_passes_and_is_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    run = problems.sandbox.run
    monkeypatch.setattr(problems.sandbox, "run", lambda source: ran.append(source) or run(source))
    point = problem().point
    passes = problems.checker([problem(), problem(1)])
    for text, right in (("    y = x + x", True), ("    y = 3 * x", False), ("", False)):
        assert passes(point, point.prefix + text + point.suffix) is right
    assert passes(point, point.prefix + "    y = x + x" + point.suffix)
    assert len(ran) == 3


def records(**methods: list[list[bool]]) -> list[dict[str, object]]:
    """For each method: which drafts passed, problem by problem."""
    count = len(next(iter(methods.values())))
    return [{"methods": {m: {"passed": p[i]} for m, p in methods.items()}} for i in range(count)]


def test_pass_at_1_looks_at_the_first_draft_and_pass_at_k_at_all() -> None:
    found = records(beam=[[True, False], [False, True], [False, False], []])
    assert problems.passed(found, "beam", 1) == [1, 0, 0, 0]
    assert problems.passed(found, "beam") == [1, 1, 0, 0]
    assert problems.pass_rates(found, "beam") == {"pass@1": 0.25, "pass@k": 0.5}


def test_gains_are_against_one_greedy_draft_at_the_same_problems() -> None:
    found = records(greedy=[[True], [False]], beam=[[False, True], [False, True]])
    rows = {row.measure: row.value for row in measures(found, ["greedy", "beam"], ["a", "b"])}
    assert rows["beam: pass@k"] == 1
    assert rows["beam: pass@1 - greedy's pass@1"] == -0.5
    assert rows["beam: pass@k - greedy's pass@1"] == 0.5
    assert (rows["beam: pass@k: 95 % from"], rows["beam: pass@k: 95 % to"]) == (1, 1)
    assert "greedy: pass@1 - greedy's pass@1" not in rows


values = st.lists(st.floats(-1, 1), min_size=1, max_size=20)


@given(values)
def test_an_interval_lies_within_the_values(series: list[float]) -> None:
    low, high = problems.interval(series, list(map(str, range(len(series)))), rounds=100)
    assert min(series) - 1e-9 <= low <= high <= max(series) + 1e-9


def test_an_interval_holds_the_mean_and_is_that_of_the_normal_law() -> None:
    series = [0.0, 1.0] * 200
    low, high = problems.interval(series, list(map(str, range(400))))
    assert low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.005)
    assert high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.005)


def test_related_values_make_the_interval_wider() -> None:
    series = [0.0] * 50 + [1.0] * 50
    apart = problems.interval(series, list(map(str, range(100))))
    related = problems.interval(series, [str(n // 10) for n in range(100)])
    assert related[1] - related[0] > 2 * (apart[1] - apart[0])
