"""Helix, whose menu opens while a word is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.editors.snippets import code_under

LOADING_S = 300.0  # a first conversion of the weights takes minutes
MEAN = '''\
def mean(values):
    """The arithmetic mean of a list of numbers."""
    total = sum(values)
    return total /'''


@pytest.fixture
def helix(editor_toolchain: Any) -> Path:
    path: Path = editor_toolchain.helix()
    return path


@pytest.fixture(autouse=True)
def configuration(desk: Any) -> None:
    [languages] = code_under("docs/editors.md", "Helix")
    desk.write(".config/helix/languages.toml", languages)


def press_until(desk: Any, expected: str, seconds: float = 20.0) -> str:
    """Press the key for the menu until it shows something: the server may not be ready."""

    def seen(screen: str) -> bool:
        if expected in screen:
            return True
        desk.terminal.keys("C-x")
        return False

    shown: str = desk.terminal.wait_for(seen, seconds, every=1.0)
    return shown


def save(desk: Any) -> None:
    def in_normal_mode(screen: str) -> bool:
        if "NOR" in screen:
            return True
        desk.terminal.keys("Escape")  # the first may only close a menu that has opened meanwhile
        return False

    desk.terminal.wait_for(in_normal_mode, every=0.3)
    desk.terminal.type(":write")
    desk.terminal.keys("Enter")
    desk.terminal.wait_for("written")


@pytest.mark.weights
def test_a_draft_of_the_default_model_is_listed_and_inserted(desk: Any, helix: Path) -> None:
    desk.edit(MEAN + "\n", helix)
    desk.terminal.wait_for("NOR")
    desk.terminal.keys("g", "e", "g", "l", "a")
    desk.terminal.type(" len")

    shown = press_until(desk, " text\n", LOADING_S)
    first = shown[: shown.index(" text\n")].split("\n")[-1].strip("~ ")
    assert first.startswith("len(values)")
    assert 1 <= shown.count(" text\n") <= 2, shown  # as the settings say
    desk.terminal.keys("C-n", "Enter")
    save(desk)
    assert desk.file.read_text() == f"{MEAN} {first}\n"


def test_of_drafts_that_begin_alike_the_chosen_one_is_inserted(desk: Any, helix: Path) -> None:
    loops = [f"for x in y:\n    {call}\n" for call in ("f(x)", "g(x)\n    h(x)")]
    desk.fix("y = []\n", *loops)
    desk.edit("y = []\n\n", helix)
    desk.terminal.wait_for("NOR")
    desk.terminal.keys("j", "i")
    desk.terminal.type("for")
    shown = press_until(desk, "for x in y:² … g(x)")
    assert shown.index("for x in y:¹ … f(x)") < shown.index("for x in y:² … g(x)")
    desk.terminal.type(" x")  # typing on keeps what begins so
    desk.terminal.wait_for("x in y:² … g(x)")
    desk.terminal.keys("C-n", "C-n")
    desk.terminal.wait_for("    h(x)\n")
    desk.terminal.keys("Enter")
    save(desk)
    assert desk.file.read_text() == "y = []\nfor x in y:\n    g(x)\n    h(x)\n\n"
