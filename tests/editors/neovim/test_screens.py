"""What stands on the screen, cell by cell, compared with the files in `goldens`.

With POLYDRAFT_WRITE_GOLDENS=1 the files are written anew: look at them before they are committed.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

GOLDENS = Path(__file__).parent / "goldens"


class Screen:
    """A Neovim on a terminal of 72 x 16 cells."""

    def __init__(self, tmux: str, nvim: Any, poll: Any) -> None:
        self.base = [tmux, "-L", f"polydraft-{uuid.uuid4().hex}", "-f", os.devnull]
        self.nvim, self.poll = nvim, poll

    def _tmux(self, *arguments: str) -> str:
        command = [*self.base, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        return done.stdout

    def start(self, content: str, name: str = "file.py") -> None:
        before = "vim.o.laststatus, vim.o.fillchars, vim.o.shortmess = 0, 'eob: ', 'IF'"
        init = self.nvim.write_init("", before=before, cmd=None)
        file = self.nvim.write_file(content, name)
        homes = [f"{key}={value}" for key, value in self.nvim.environment.items()]
        command = ["env", *homes, "TERM=screen-256color", "LC_ALL=C.UTF-8", str(self.nvim.binary)]
        command += ["--listen", str(self.nvim.socket), "-i", "NONE", "-u", str(init), str(file)]
        self._tmux("new-session", "-d", "-x", "72", "-y", "16", "-s", "s", *command)
        self.poll(self.nvim.socket.exists)
        self.poll(lambda: self.nvim.get("vim.g.told_status"))

    def seen(self) -> str:
        shown = self._tmux("capture-pane", "-t", "s", "-p")
        return "\n".join(line.rstrip() for line in shown.split("\n")).rstrip() + "\n"

    def matches(self, golden: str) -> None:
        file = GOLDENS / f"{golden}.txt"
        if os.environ.get("POLYDRAFT_WRITE_GOLDENS"):
            last = [""]

            def settled() -> bool:
                last.append(self.seen())
                return last[-1] == last[-2] == last[-3] if len(last) > 25 else False

            self.poll(settled)
            file.write_text(last[-1], "utf-8")
        expected = file.read_text("utf-8")
        self.poll(self.seen, lambda seen: seen == expected)

    def stop(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def screen(tmux: str, nvim: Any, poll: Any) -> Iterator[Screen]:
    running = Screen(tmux, nvim, poll)
    yield running
    running.stop()


def test_a_draft_of_several_lines(nvim: Any, screen: Screen) -> None:
    body = '\n    """Naïve 🙂."""\n    return a + b\n'
    nvim.scenario(at="def add(a, b):", drafts=[body, "\n    pass"])
    screen.start("import os\n\n\nprint(1)\n")
    nvim.keys("2Gidef add(a, b):")
    screen.matches("several_lines")
    nvim.keys("<M-]>")
    screen.matches("several_lines_next")
    nvim.keys("<M-[><M-End><M-End>")
    screen.matches("several_lines_accepted_in_part")


def test_a_draft_around_text_that_stays(nvim: Any, screen: Screen) -> None:
    nvim.scenario(at="x = ", drafts=["sum(values))"], replace=1)
    screen.start("print()  # shown\n")
    nvim.keys("f)ix = ")
    screen.matches("around")


def test_a_draft_over_text_that_goes(nvim: Any, screen: Screen) -> None:
    nvim.scenario(at="x = ", drafts=["s"], replace=6)
    screen.start("f(values, 1)  # shown\n")
    nvim.keys("fvix = ")
    screen.matches("over")


def test_several_lines_before_text_that_moves(nvim: Any, screen: Screen) -> None:
    nvim.scenario(at="f(", drafts=["\n\ta,\n\tb)"], replace=1)
    screen.start("f() { // moves\n}\n", name="file.go")
    nvim.keys("f)i<BS>(")
    screen.matches("moves")


def test_the_list_of_drafts(nvim: Any, screen: Screen) -> None:
    nvim.scenario(at="x = ", drafts=["foo(1)", "{\n    'a': 1,\n}", "bar"])
    screen.start("x = \n")
    nvim.keys("$:Polydraft drafts<CR>")
    screen.matches("list")
