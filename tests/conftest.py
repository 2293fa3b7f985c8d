"""What every test runs under: nothing of the user's own leaks in, nothing is written there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_user_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The registry is ours alone, whatever `models.toml` the person at this machine has.

    No calibration of theirs holds either.
    """
    nowhere = tmp_path_factory.mktemp("config")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(nowhere))
        patch.setenv("POLYDRAFT_STATE", str(nowhere / "state"))
        yield


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model cache for the whole run, so that what is measured once is remembered."""
    return tmp_path_factory.mktemp("polydraft-cache")


@pytest.fixture(autouse=True)
def own_cache(
    request: pytest.FixtureRequest, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only tests marked `weights` use the user's cache, where the real weights are."""
    if request.node.get_closest_marker("weights") is None:
        monkeypatch.setenv("POLYDRAFT_CACHE", str(shared_cache))
