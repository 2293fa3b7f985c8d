"""A user's path: the commands of the README in an empty home, then VS Code."""

from __future__ import annotations

import os
import shlex
from typing import Any

import pytest

from polydraft.models.cache_dir import cache_root
from tests.editors.conftest import REQUIRED
from tests.editors.test_from_nothing import LOADING_S, MEAN, User, user

__all__ = ["user"]  # a fixture


@pytest.mark.weights
def test_five_commands_of_the_readme_lead_to_ghost_text_in_vs_code(
    user: User, editor_toolchain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not REQUIRED:
        pytest.importorskip("playwright", reason="run `make editors`")
    from tests.editors.vscode import workbench as vscode

    node, npm = editor_toolchain.node(), editor_toolchain.npm()
    chromium = editor_toolchain.chromium()
    entry = editor_toolchain.code_server()
    unused = user.home / "unused"
    installed = vscode.Installed(node, entry, chromium, unused, unused)
    environment = {**os.environ, **user.environment}
    server = vscode.CodeServer(installed, user.home, environment, vscode.free_port())
    programs = user.home / "bin"
    programs.mkdir()
    (programs / "code").write_text(f'#!/bin/sh\nexec {shlex.join(server.command)} "$@"\n')
    (programs / "code").chmod(0o755)
    user.path = os.pathsep.join(map(str, (programs, node.parent, npm.parent)))
    monkeypatch.setenv("npm_config_cache", str(cache_root() / "editors" / "npm-cache"))

    user.follow("In VS Code")
    user.spare_downloads()
    folder = user.home / "folder"
    folder.mkdir()
    (folder / "mean.py").write_text(MEAN.removesuffix(" /\n"))
    try:
        server.start(with_extension=False)
        server.set(polydraft__serverPath="")
        with (
            vscode.browser_of(chromium) as browser,
            vscode.workbench(browser, server, folder) as code,
        ):
            code.until_ready(LOADING_S)
            code.open("mean.py")
            code.type(" / l")
            assert code.until_ghost(insist=True).startswith("en(values)")
    finally:
        server.stop()
