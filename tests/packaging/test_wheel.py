"""The wheel is complete and runs beside folders and packages that bear its own names."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: dict[str, str] = PROJECT["tool"]["setuptools"]["package-dir"]

PUBLIC_NAMES = {
    "polydraft.lsp_server": [],
    "polydraft.completion": [],
    "polydraft.completion.drafters": ["DRAFTERS", "Drafter", "LEADERLESS", "Task"],
    "polydraft.completion.guessers": ["Ahead", "GUESSERS", "Guess", "Guesser", "Guessers"],
    "polydraft.completion.switching": [
        "Large",
        "POLICIES",
        "Policy",
        "Reason",
        "Small",
        "Thresholds",
        "policy_of",
    ],
    "polydraft.monitors": [],
    "polydraft.monitors.analysers": [],
    "polydraft.models": [],
    "polydraft.examples": [],
}
"""What `from PACKAGE import *` gives: everything is imported from the module that defines it."""


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that was built from it."""
    source, target = (tmp_path_factory.mktemp(name) for name in ("source", "dist"))
    # Of a copy, since building leaves files behind in the tree.
    left_out = shutil.ignore_patterns(".git", ".venv", ".*_cache", "build", "dist", "*.egg-info")
    shutil.copytree(ROOT, source, ignore=left_out, symlinks=True, dirs_exist_ok=True)
    run(
        sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(source),
        cwd=target,
    )  # fmt: skip
    return target


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (wheel,) = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
        "--disable-pip-version-check", "--target", str(target), str(wheel),
        cwd=target,
    )  # fmt: skip
    return target


def source_files() -> set[str]:
    """What belongs into the wheel, by its path there."""
    found = set()
    for package, folder in PACKAGES.items():
        for pattern in ("*.py", "*.toml", "py.typed"):
            for file in (ROOT / folder).glob(pattern):
                found.add(f"{package.replace('.', '/')}/{file.name}")
    return found


def test_the_wheel_holds_every_module_and_data_file_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    code = {name for name in names if ".dist-info/" not in name}
    assert code == source_files()
    assert "polydraft/models/registry.toml" in code
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_wheel_names_its_licence_dependencies_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (info,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        metadata = archive.read(f"{info}/METADATA").decode()
        commands = archive.read(f"{info}/entry_points.txt").decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.11" in metadata
    for requirement in PROJECT["project"]["dependencies"]:
        assert f"Requires-Dist: {requirement.split('>')[0]}" in metadata
    assert "polydraft = polydraft.lsp_server.cli:main" in commands


def test_the_source_archive_holds_nothing_of_the_builders_machine(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert {"LICENSE", "README.md", "pyproject.toml", "models/registry.toml"} <= set(names)
    hidden = [name for name in names if name.startswith(".") or "__pycache__" in name]
    assert hidden == []


def test_every_folder_of_modules_is_a_typed_and_listed_package() -> None:
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == set(PACKAGES)
    for folder in PACKAGES.values():
        assert (ROOT / folder / "py.typed").is_file()
        assert (ROOT / folder / "__init__.py").is_file()
        found = {file.parent.relative_to(ROOT) for file in (ROOT / folder).rglob("*.py")}
        assert found <= set(map(Path, PACKAGES.values()))


@pytest.mark.parametrize("package", PUBLIC_NAMES)
def test_a_package_exports_the_public_names_and_no_others(package: str) -> None:
    assert set(PUBLIC_NAMES) == set(PACKAGES)
    module = importlib.import_module(package)
    modules = {info.name for info in pkgutil.iter_modules(module.__path__)}
    names = [n for n in vars(module) if not n.startswith("_") and n not in modules]
    assert sorted(getattr(module, "__all__", names)) == PUBLIC_NAMES[package]


_START = """
import runpy, sys
sys.path.insert(0, {installed!r})
sys.argv = ["polydraft", *{arguments!r}]
for name in {packages!r}:
    file = __import__(name, fromlist=["__file__"]).__file__
    assert file.startswith({installed!r}), file
runpy.run_module("polydraft.lsp_server", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A workspace whose packages and modules are named like ours and must never be imported."""
    for name in ("models", "completion", "monitors", "lsp_server", "polydraft", "rich", "torch"):
        (tmp_path / name).mkdir()
        text = f"raise SystemExit('the workspace module {name} was imported')\n"
        (tmp_path / name / "__init__.py").write_text(text)
    for name in ("types.py", "sitecustomize.py"):
        (tmp_path / name).write_text("raise SystemExit('a module of the workspace was imported')\n")
    return tmp_path


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["models", "list"]])
def test_the_installed_command_imports_nothing_from_a_hostile_workspace(
    installed: Path, hostile: Path, arguments: list[str]
) -> None:
    start = _START.format(installed=str(installed), packages=list(PACKAGES), arguments=arguments)
    said = run(sys.executable, "-I", "-c", start, cwd=hostile)
    assert "polydraft" in said or "qwen2.5-coder-0.5b" in said


def test_the_way_editors_start_the_server_imports_nothing_from_a_hostile_workspace(
    hostile: Path,
) -> None:
    said = run(sys.executable, "-I", "-m", "polydraft.lsp_server", "serve", "--help", cwd=hostile)
    assert "--stdio" in said


def test_the_decoys_are_able_to_bite(hostile: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import polydraft"], cwd=hostile, capture_output=True, text=True
    )
    assert done.returncode != 0 and "was imported" in done.stderr
