from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.harness import Row
from benchmarks.plots import Panel, crowded, lines, together
from benchmarks.scaling import rows_of

PANELS = [
    Panel("tokens", "s", {"prefill": [(256, 1.0), (512, 2.5)]}),
    Panel("tokens", "ms", {"1 row": [(256, 20.0), (512, 22.0)], "3 rows": [(256, 25.0)]}),
]


def test_a_picture_names_its_axes_and_is_equal_for_equal_data(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("a.svg", "b.svg"):
        lines(PANELS, "cost", tmp_path / name)
    picture = (tmp_path / "a.svg").read_text()
    assert picture == (tmp_path / "b.svg").read_text()
    for text in ("tokens", "ms", "1 row", "3 rows", "cost"):
        assert f"<!-- {text} -->" in picture


def test_without_matplotlib_it_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    lines(PANELS, "cost", tmp_path / "a.svg")
    assert "matplotlib is missing" in capsys.readouterr().out
    assert not (tmp_path / "a.svg").exists()


def test_each_point_of_a_series_is_a_row() -> None:
    series = {"beam": [(1, 20.0), (3, 30.5)], "rows": [(1, 21.0)]}
    assert rows_of("k={x}, {name}", series, "ms") == [
        Row("k=1, beam", 20.0, "ms"),
        Row("k=3, beam", 30.5, "ms"),
        Row("k=1, rows", 21.0, "ms"),
    ]


def test_methods_at_one_place_share_a_label_and_the_lower_neighbour_has_it_below() -> None:
    places = {"a": (1.0, 0.2), "b": (1.01, 0.201), "c": (1.3, 0.205), "d": (3.0, 0.4)}
    groups = together(places)
    assert groups == [(["a", "b"], (1.0, 0.2)), (["c"], (1.3, 0.205)), (["d"], (3.0, 0.4))]
    assert [crowded(*place, groups) for _, place in groups] == [True, False, False]
