"""The Neovim client's style, by StyLua."""

from __future__ import annotations

import subprocess
from pathlib import Path

CLIENT = Path(__file__).parents[3] / "editor-clients" / "neovim"
_SCRIPT = Path(__file__).with_name("stylua.cjs")


def out_of_style(node: Path, stylua: Path, files: list[Path], *, write: bool = False) -> list[Path]:
    """The files that are not as `stylua.toml` wants them; with `write` they are put right."""
    mode = "write" if write else "check"
    command = [node, _SCRIPT, stylua, mode, CLIENT / "stylua.toml", *files]
    return [Path(line) for line in subprocess.check_output(command, text=True).splitlines()]
