"""One code-server and one browser for all tests; each test has a window on a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest

Window = Callable[..., AbstractContextManager[Any]]


@pytest.fixture(scope="session")
def installed(editor_toolchain: Any) -> Any:
    from tests.editors.vscode.workbench import Installed

    return Installed.of(editor_toolchain)


@pytest.fixture(scope="module")
def code_server(installed: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from tests.editors.vscode.workbench import CodeServer

    home = tmp_path_factory.mktemp("vscode")
    # VS Code takes its PATH from a login shell.
    (home / ".profile").write_text(f"export PATH={installed.polydraft.parent}:$PATH\n")
    server = CodeServer.at(home, installed)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def browser(installed: Any) -> Iterator[Any]:
    from tests.editors.vscode.workbench import browser_of

    with browser_of(installed.chromium) as opened:
        yield opened


@pytest.fixture
def window(code_server: Any, browser: Any) -> Window:
    """Opens a VS Code window on a folder."""
    from tests.editors.vscode.workbench import workbench

    code_server.set()
    return partial(workbench, browser, code_server)
