"""`polydraft calibrate` with the default pair's real weights, in a workspace of two small files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


def calibrate(root: Path, state: Path, *options: str) -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, "-I", "-m", "polydraft.lsp_server", "calibrate", str(root), "--json"]
        + list(options),
        capture_output=True,
        text=True,
        env=os.environ | {"POLYDRAFT_STATE": str(state)},
        timeout=300,
    )
    return done.returncode, json.loads(done.stdout)


def test_two_short_runs_measure_every_setting_and_choose_one(weights: Path, tmp_path: Path) -> None:
    if is_ready(load_registry().get(DEFAULT_LARGE)) is None:
        pytest.skip("the large model is not on this machine")
    root, state = tmp_path / "w", tmp_path / "state"
    root.mkdir()
    (root / "polydraft.toml").write_text(f'large = "{DEFAULT_LARGE}"\n')
    (root / "area.py").write_text(AREA)
    (root / "other.py").write_text(AREA.replace("circle", "disc").replace("side", "edge"))

    code, few = calibrate(root, state, "--points", "4")
    assert (code, few["points"], few["met"]) == (1, 4, False)
    code, found = calibrate(root, state, "--points", "10", "--share", "1")
    assert (code, found["points"], found["fresh_points"]) == (0, 10, 6)
    rows = {row["name"]: row for row in found["settings"]}
    assert (rows["small"]["share"], rows["large"]["share"]) == (0.0, 1.0)
    assert rows["small"]["asked"] == 0.0 < rows["large"]["asked"]
    assert found["used"] and found["written"]
    assert rows[found["chosen"]]["quality"] >= rows["small"]["quality"]
