"""Editors with completion menus, on a terminal, set up as docs/editors.md says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from polydraft.models.cache_dir import cache_root
from tests.editors.terminal import Terminal

HERE = Path(__file__).parent


class Desk:
    """A home, a project with one file, and a terminal to edit it on.

    `polydraft` on the editor's PATH is the real one, or, once `fix` was called, the real server
    with fixed drafts.
    """

    def __init__(self, folder: Path, terminal: Terminal) -> None:
        self.home = folder / "home"
        self.project = folder / "project"
        subprocess.run(["git", "init", "--quiet", self.project], check=True)
        self.home.mkdir()
        self.terminal = terminal
        self.programs = Path(sysconfig.get_path("scripts"))

    @property
    def file(self) -> Path:
        return self.project / "file.py"

    def fix(self, behind: str, *drafts: str) -> None:
        fixed = {"behind": behind, "drafts": drafts}
        (self.project / "drafts.json").write_text(json.dumps(fixed), "utf-8")
        self.programs = self.home / "bin"
        self.programs.mkdir()
        program = self.programs / "polydraft"
        server = HERE / "drafting_server.py"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{server}" "$@"\n', "utf-8")
        program.chmod(0o755)

    def write(self, path: str, content: str) -> None:
        """A file of the user's configuration."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, "utf-8")

    def edit(self, content: str, editor: Path, *arguments: str) -> None:
        self.file.write_text(content, "utf-8")
        environment = {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            "POLYDRAFT_CACHE": str(cache_root()),
        }
        command = [editor, *arguments, self.file]
        self.terminal.start(command, environment, self.project)


@pytest.fixture
def desk(tmp_path: Path, editor_toolchain: Any) -> Iterator[Desk]:
    terminal = Terminal(editor_toolchain.tmux(), columns=90, rows=26)
    yield Desk(tmp_path, terminal)
    terminal.stop()
