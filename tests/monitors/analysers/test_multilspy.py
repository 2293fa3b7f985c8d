"""multilspy in its private environment, for real: Python and TypeScript."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest
from filelock import FileLock

from polydraft.monitors.analysers import catalogue, install
from polydraft.monitors.analysers.catalogue import create, spec_of
from polydraft.monitors.analysis import (
    Analyser,
    AnalyserError,
    AnalyserSettings,
    Buffer,
    Grade,
    Names,
    Question,
    Starting,
)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Path:
    """As `polydraft analysers install multilspy` does it, once, in the user's cache."""
    root = platformdirs.user_cache_path("polydraft") / "tests" / "analysers"
    root.mkdir(parents=True, exist_ok=True)
    for module in (catalogue, install):
        monkeypatch.setattr(module, "install_root", lambda: root)
    with FileLock(root / "lock"):
        if not (root / "multilspy" / "packages").is_dir():
            try:
                install.install(spec_of("multilspy"))
            except AnalyserError as error:
                pytest.skip(str(error))
    return root


@pytest.fixture
def analyser(installed: Path, tmp_path: Path) -> Iterator[Analyser]:
    made = create("multilspy", AnalyserSettings(str(tmp_path), trusted=True))
    yield made
    made.close()


def asked(analyser: Analyser, path: Path, language: str, marked: str, *others: Buffer) -> Names:
    before, _, after = marked.partition("|")
    question = Question(Buffer(str(path), language, before + after), len(before), others)
    deadline = time.monotonic() + 120  # TypeScript's server is fetched at its first start
    while True:
        try:
            return analyser.names(question, 60)
        except Starting:
            assert time.monotonic() < deadline


def test_python_with_text_that_is_nowhere_saved(analyser, tmp_path):
    other = Buffer(str(tmp_path / "other.py"), "python", "class B:\n    fresh = 1\n")
    text = "class A:\n    größe = 1\n    y = 1\n\nz = 'ö'; A.|\n"
    found = asked(analyser, tmp_path / "main.py", "python", text, other)
    assert "y" in {name.text for name in found.names}
    assert found.grade is Grade.OPEN
    assert asked(analyser, tmp_path / "main.py", "python", "x = foo\nx.|").grade is Grade.UNKNOWN


def test_typescript(analyser, tmp_path):
    (tmp_path / "tsconfig.json").write_text("{}")
    found = asked(analyser, tmp_path / "main.ts", "typescript", "const s = '';\ns.|\n")
    if not found.names:
        pytest.skip("multilspy could not fetch TypeScript's server")
    assert "charAt" in {name.text for name in found.names}


def test_it_is_for_trusted_workspaces_and_says_how_to_get_it(installed, tmp_path, monkeypatch):
    with pytest.raises(AnalyserError, match="not trusted"):
        create("multilspy", AnalyserSettings(str(tmp_path)))
    monkeypatch.setattr(catalogue, "install_root", lambda: tmp_path)
    with pytest.raises(AnalyserError, match="polydraft analysers install multilspy"):
        create("multilspy", AnalyserSettings(str(tmp_path), trusted=True))
