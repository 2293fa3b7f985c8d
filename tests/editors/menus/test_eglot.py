"""Emacs with eglot, which is built in: completion-at-point on a terminal."""

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
    return total / len
'''


@pytest.fixture
def emacs(editor_toolchain: Any) -> Path:
    path: Path = editor_toolchain.emacs()
    return path


def complete(desk: Any, seconds: float = 20.0) -> str:
    """Press the key at the last line's end until there is a menu (the server loads first)."""

    def listed(screen: str) -> bool:
        if "possible completions" in screen:
            return True
        desk.terminal.keys("C-M-i")
        return False

    desk.terminal.wait_for("[eglot:project", seconds)
    desk.terminal.keys("M->", "C-b")
    shown: str = desk.terminal.wait_for(listed, seconds, every=0.5)
    return shown


def choose(desk: Any, number: int) -> None:
    """Take an entry of the menu and save the file."""
    for _ in range(number):
        desk.terminal.keys("M-Down")
    desk.terminal.keys("M-Enter")
    desk.terminal.wait_for(lambda screen: "*Completions*" not in screen)
    desk.terminal.keys("C-x", "C-s")
    desk.terminal.wait_for("Wrote ")


@pytest.mark.weights
def test_a_draft_of_the_default_model_is_listed_and_inserted(desk: Any, emacs: Path) -> None:
    client, settings = code_under("docs/editors.md", "Emacs (eglot)")
    desk.write(".emacs.d/init.el", client + settings)
    desk.edit(MEAN, emacs, "-nw")
    shown = complete(desk, LOADING_S)
    assert "2 possible completions" in shown  # as the settings say
    # What both drafts begin with is in the file now; the entries are how they go on.
    first = shown.partition("2 possible completions:\n")[2].partition(" polydraft\n")[0]
    choose(desk, 1)
    line = desk.file.read_text().split("\n")[3]
    assert line.startswith("    return total / len(values)")
    assert line.endswith(first)


def test_what_drafts_begin_with_is_inserted_and_then_the_chosen_rest(
    desk: Any, emacs: Path
) -> None:
    client, _ = code_under("docs/editors.md", "Emacs (eglot)")
    desk.write(".emacs.d/init.el", client)
    loops = [f"for x in y:\n    {call}\n" for call in ("f(x)", "g(x)\n    h(x)")]
    desk.fix("y = []\n", *loops, "for x in y:")
    desk.edit("y = []\nfo\n", emacs, "-nw")
    shown = complete(desk)
    assert "\n  for x in y:\n" in shown  # behind the margin of Flymake
    assert "\nf(x) polydraft\ng(x) … polydraft\n" in shown
    choose(desk, 2)
    assert desk.file.read_text() == "y = []\nfor x in y:\n    g(x)\n    h(x)\n\n"
