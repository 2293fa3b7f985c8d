"""Modules and what they hold, behind `import` and `from`."""

from __future__ import annotations

import pytest
from rules import IMPOSSIBLE, Case
from scripted import closed, opened

from polydraft.completion.monitor import Constraint

PIECES = ["path", "sep", "nope", " path", " nope", " nopes", ",", " as", " x", "(", "\n", " ", "os"]
PIECES += [" os", ".", " import", "pa", "th", " (", "1"]


@pytest.mark.parametrize(
    "marked",
    ["from os import |", "from os import sep, |", "from os import (\n    sep,\n    |", "import |"]
    + ["from |", "from . import |", "    from os import x as y, |", "import os.|", "from a.|"],
)
def test_names_are_those_of_the_module(marked):
    lost = Case("imports", marked, PIECES, {"": closed("path", "sep")}).lost()
    assert not lost.keys() & {"path", "sep"}
    assert lost["nope"] == IMPOSSIBLE


@pytest.mark.parametrize("marked", ["from os import|", "from os import sep,|", "import|", "from|"])
def test_a_space_may_come_with_the_name(marked):
    lost = Case("imports", marked, PIECES, {"": closed("path", "sep", "os")}).lost()
    assert {" nope", " nopes", " x", " as"} & lost.keys() == {" nope", " nopes", " x", " as"}
    assert lost[" nope"] == IMPOSSIBLE
    assert not lost.keys() & {" path", " os", " (", " ", "\n", ",", "path"}


def test_what_is_typed_already_counts_and_is_not_asked_anew():
    case = Case("imports", "from os import |", PIECES, {"import ": closed("path", "sep")})
    lost = case.lost("pa")
    assert "th" not in lost and lost["path"] == IMPOSSIBLE
    assert "," not in case.lost("path") and "\n" not in case.lost("path")
    assert case.lost("path")["th"] == IMPOSSIBLE
    case.lost("path", ",", " ")
    assert len(case.analyser.asked) == 1


def test_what_the_page_imports_elsewhere_exists():
    marked = "from os import |\nx = 1\nfrom os import (\n    nope,\n)\n"
    lost = Case("imports", marked, PIECES, {"": closed("path")}).lost()
    assert "nope" not in lost and lost["sep"] == IMPOSSIBLE


def test_an_open_answer_makes_nothing_impossible_and_no_answer_constrains_nothing():
    lost = Case("imports", "from os import |", PIECES, {"": opened("path")}).lost()
    assert 0 < lost["nope"] < IMPOSSIBLE
    assert Case("imports", "from nobody import |", PIECES).constraint() == Constraint()


@pytest.mark.parametrize(
    "marked",
    [
        "x = |",
        "from os import path as |",
        "important |",
        "# from os import |",
        "x.|",
        "import os\n|",
    ]
    + ["from os import (path)\n|", "from os import path\n|"],
)
def test_elsewhere_nobody_is_asked(marked):
    case = Case("imports", marked, PIECES, {"": closed("path")})
    assert case.constraint() == Constraint()
    assert not case.analyser.asked
