"""`polydraft calibrate` with the default pair's real weights, in a workspace of two small files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from polydraft.models.registry import DEFAULT_LARGE, load_registry
from polydraft.models.store import is_ready

pytestmark = pytest.mark.weights

AREA = """\
import math


def circle_area(radius):
    return math.pi * radius ** 2


def circle_length(radius):
    return 2 * math.pi * radius


def square_area(side):
    return side * side


def mean(values):
    total = sum(values)
    return total / len(values)
"""


COMMAND = (sys.executable, "-I", "-m", "polydraft.lsp_server", "calibrate")


@pytest.fixture
def root(weights: Path, tmp_path: Path) -> Path:
    """A workspace of two files that wants the default pair."""
    if is_ready(load_registry().get(DEFAULT_LARGE)) is None:
        pytest.skip("the large model is not on this machine")
    root = tmp_path / "w"
    root.mkdir()
    (root / "polydraft.toml").write_text(f'large = "{DEFAULT_LARGE}"\n')
    (root / "area.py").write_text(AREA)
    (root / "other.py").write_text(AREA.replace("circle", "disc").replace("side", "edge"))
    return root


def calibrate(root: Path, state: Path, *options: str) -> tuple[int, Any]:
    done = subprocess.run(
        [*COMMAND, str(root), "--json", *options],
        capture_output=True,
        text=True,
        env=os.environ | {"POLYDRAFT_STATE": str(state)},
        timeout=300,
    )
    return done.returncode, json.loads(done.stdout)


def test_two_short_runs_measure_every_setting_and_choose_one(root: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    code, few = calibrate(root, state, "--points", "4")
    assert (code, few["points"], few["met"]) == (1, 4, False)
    code, found = calibrate(root, state, "--points", "10", "--share", "1")
    assert (code, found["points"], found["fresh_points"]) == (0, 10, 6)
    rows = {row["name"]: row for row in found["settings"]}
    assert (rows["small"]["share"], rows["large"]["share"]) == (0.0, 1.0)
    assert rows["small"]["asked"] == 0.0 < rows["large"]["asked"]
    assert found["used"] and found["written"]
    assert rows[found["chosen"]]["quality"] >= rows["small"]["quality"]


def interrupted(
    root: Path, state: Path, when: Callable[[], bool], *options: str
) -> tuple[int, str, str]:
    """A run that gets a SIGINT as soon as `when` holds: exit code, output, errors."""
    process = subprocess.Popen(
        [*COMMAND, str(root), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"POLYDRAFT_STATE": str(state)},
        # Who runs the tests in a shell's background has it ignored.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        until = time.monotonic() + 300
        while not when():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGINT for another process")
def test_ctrl_c_keeps_what_was_measured_and_the_next_run_goes_on_from_there(
    root: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"

    def records() -> str:
        return "".join(path.read_text() for path in state.glob("workspaces/*/records.jsonl"))

    code, out, err = interrupted(root, state, lambda: "\n" in records(), "--points", "20")
    assert code == 130, err
    said = re.search(r"Interrupted\. (\d+) points are kept; the same command goes on", err)
    assert said, err
    kept = records()
    places = [json.loads(line)["point"] for line in kept.splitlines()]
    # What was measured in the very moment may be written down and not counted any more.
    assert int(said[1]) in (len(places), len(places) - 1)
    assert 1 <= len(set(places)) == len(places) < 20
    assert "quality" in out  # the table of what is known
    assert not list(state.glob("workspaces/*/calibration.json"))

    code, found = calibrate(root, state, "--points", str(len(places) + 1))
    assert (code, found["points"], found["fresh_points"]) == (1, len(places) + 1, 1)
    assert "points say too little" in found["unmet_because"]
    assert found["interrupted"] is False
    assert records().startswith(kept)  # nothing was measured twice
    assert records().count("\n") == len(places) + 1
