"""A user's path: the commands of the README in an empty home, then an editor on a terminal.

With POLYDRAFT_WRITE_PICTURES=1 what is seen becomes the picture in docs.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from polydraft.models.cache_dir import cache_root
from tests.editors.snippets import ROOT, code_under
from tests.editors.terminal import Terminal

PICTURE = ROOT / "docs" / "neovim.svg"
LOADING_S = 300.0  # what is installed anew compiles its kernels anew
MEAN = '''\
def mean(values):
    """The arithmetic mean of a list of numbers."""
    total = sum(values)
    return total /
'''


class User:
    """Somebody with an empty home and a clone of this repository.

    The commands are run as they stand. Only downloads are spared: the model is the one that is
    here, and so are the dependencies, which a path file brings into the new environment.
    """

    def __init__(self, folder: Path, terminal: Terminal) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.clone = folder / "home" / "src" / "polydraft"
        self.terminal = terminal
        self.path = ""  # before what is on PATH anyway
        files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(files, cwd=ROOT, text=True).split("\0"):
            if name and (ROOT / name).is_file():
                (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.clone / name)

    @property
    def environment(self) -> dict[str, str]:
        homes = {"CONFIG": ".config", "DATA": ".local/share", "STATE": ".local/state"}
        return {
            **{f"XDG_{kind}_HOME": str(self.home / path) for kind, path in homes.items()},
            "HOME": str(self.home),
            "PATH": os.pathsep.join(filter(None, [self.path, os.environ["PATH"]])),
            "POLYDRAFT_CACHE": str(cache_root()),
            "PIP_NO_DEPS": "1",
            "PYTHONDONTWRITEBYTECODE": "",  # a user's Python keeps what it compiled
        }

    def run(self, command: str) -> None:
        environment = {**os.environ, **self.environment}
        shell = ["bash", "-ec", command]
        done = subprocess.run(
            shell, cwd=self.clone, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    def follow(self, heading: str) -> None:
        """Run the commands that the README has under a heading, five at most."""
        [block] = code_under("README.md", heading)
        commands = block.splitlines()
        assert len(commands) <= 5
        for command in commands:
            self.run(command)

    def spare_downloads(self) -> None:
        for site in self.home.glob(".polydraft/lib/python*/site-packages"):
            (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")

    def edit(self, nvim: Path) -> Path:
        """Open a file in Neovim."""
        file = self.home / "mean.py"
        file.write_text(MEAN, "utf-8")
        self.terminal.start([nvim, file.name], self.environment, self.home)

        def opened(screen: str) -> bool:
            if "These plugins will be installed" in screen:
                self.terminal.keys("y")
            return "total = sum(values)" in screen

        self.terminal.wait_for(opened, 60.0, every=0.5)
        return file


@pytest.fixture
def user(tmp_path: Path, editor_toolchain: Any) -> Iterator[User]:
    terminal = Terminal(editor_toolchain.tmux(), columns=72, rows=12)
    yield User(tmp_path, terminal)
    terminal.stop()


def see_and_accept(user: User, file: Path) -> str:
    """Type, see a draft behind the cursor, take it; the screen with the draft, with colours."""
    user.terminal.type("GA len")
    user.terminal.wait_for("return total / len(values)", LOADING_S)
    user.terminal.wait_for("(1/")  # how many drafts there are
    assert file.read_text() == MEAN
    shown = user.terminal.screen(colours=True)
    user.terminal.keys("Tab", "Escape")
    user.terminal.type(":w")
    user.terminal.keys("Enter")
    user.terminal.wait_for("written")
    assert file.read_text().startswith(MEAN.rstrip() + " len(values)")
    return shown


def draw(screen: str, title: str, file: Path) -> None:
    console = Console(record=True, width=72, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen))
    console.save_svg(str(file), title=title, theme=MONOKAI)


@pytest.mark.weights
def test_five_commands_of_the_readme_lead_to_ghost_text_in_neovim(
    user: User, editor_toolchain: Any
) -> None:
    user.follow("In Neovim")
    user.spare_downloads()
    shown = see_and_accept(user, user.edit(editor_toolchain.nvim012()))
    if os.environ.get("POLYDRAFT_WRITE_PICTURES"):
        draw(shown, "nvim mean.py", PICTURE)
    assert PICTURE.exists()


@pytest.mark.weights
@pytest.mark.parametrize("way", ["vim.pack", "no plugin manager"])
def test_the_ways_of_the_clients_readme_lead_to_ghost_text(
    user: User, editor_toolchain: Any, way: str
) -> None:
    with_pack, _, without = code_under("editor-clients/neovim/README.md", "polydraft for Neovim")
    init = user.home / ".config" / "nvim" / "init.lua"
    init.parent.mkdir(parents=True)
    init.write_text(with_pack if way == "vim.pack" else without, "utf-8")
    user.path = sysconfig.get_path("scripts")  # `polydraft` is on PATH
    if way == "vim.pack":
        user.run("git init -q && git add . && git -c user.name=a -c user.email=a@b commit -qm all")
    see_and_accept(user, user.edit(editor_toolchain.nvim012()))
