"""Packages that tests need and polydraft does not: from the registry into the user's cache."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import platformdirs
import pytest
from filelock import FileLock


def from_npm(package: str) -> Path:
    """The folder `node_modules` with a package, e.g. "typescript@7.0.2"; skips the test if it
    cannot be had."""
    folder = platformdirs.user_cache_path("polydraft") / "tests" / package.replace("/", "-")
    if shutil.which("npm") is None:
        pytest.skip(f"npm is not there to install {package} with")
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "installed"
    with FileLock(folder / "lock"):
        if not done.exists():
            command = ["npm", "install", "--silent", "--prefix", str(folder), package]
            result = subprocess.run(command, capture_output=True, text=True, timeout=300)
            if result.returncode:
                pytest.skip(f"npm could not install {package}: {result.stderr[-200:]}")
            done.touch()
    return folder / "node_modules"
