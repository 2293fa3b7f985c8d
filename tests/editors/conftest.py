"""The editors that tests drive. Nothing of them is installed unless that is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.editors.toolchain import MissingEditor, Toolchain

HERE = Path(__file__).parent
REQUIRED = os.environ.get("POLYDRAFT_REQUIRE_EDITORS") == "1"
# Made here, before a test's own cache (see ../conftest.py) hides the user's.
_TOOLCHAIN = Toolchain(install=REQUIRED)


class _Skipping:
    """The toolchain, in whose tests a missing editor skips."""

    def __getattr__(self, name: str) -> Callable[[], Path]:
        method = getattr(_TOOLCHAIN, name)

        def found() -> Path:
            try:
                path: Path = method()
            except MissingEditor as missing:
                pytest.skip(str(missing))
            return path

        return found


@pytest.fixture(scope="session")
def editor_toolchain() -> Any:
    """Paths of editors. Where POLYDRAFT_REQUIRE_EDITORS=1 a missing one is installed, or fails;
    else it skips."""
    return _TOOLCHAIN if REQUIRED else _Skipping()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.editors)
