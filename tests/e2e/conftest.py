"""The default model's real weights, and servers that run them: one process at a time.

The weights are fetched into the user's own cache on first use, like a user's; later runs need no
network.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from polydraft.models.registry import DEFAULT_SMALL, load_registry
from polydraft.models.store import ensure_model
from tests.e2e.support import copy_package
from tests.lsp_server import harness

SERVE = (sys.executable, "-I", "-m", "polydraft.lsp_server", "serve")
_ANNOUNCED = re.compile(r"listening on (?:tcp|ws)://127\.0\.0\.1:(\d+)")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real model takes its time, most of all on a machine that does other things as well."""
    monkeypatch.setattr(harness, "PATIENCE", 180)


@pytest.fixture(scope="session")
def weights() -> Path:
    """The directory of the default model."""
    return ensure_model(load_registry().get(DEFAULT_SMALL))


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that holds a real project: the sources of `rich`."""
    workspace = tmp_path_factory.mktemp("workspace")
    copy_package("rich", workspace)
    return workspace


@contextmanager
def listening(transport: str, *options: str) -> Iterator[int]:
    """A server process on a socket; gives its port."""
    command = [*SERVE, f"--{transport}", "127.0.0.1:0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if match := _ANNOUNCED.search(line):
                yield int(match[1])
                break
        else:
            raise AssertionError(f"the server ended: {''.join(said)}")
        assert process.poll() is None, "the server died"
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def tcp_port(weights: Path) -> Iterator[int]:
    with listening("tcp") as port:
        yield port


@pytest.fixture(scope="module")
def websocket_port(weights: Path) -> Iterator[int]:
    with listening("ws") as port:
        yield port
