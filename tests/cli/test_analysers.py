"""`polydraft analysers`: what is there, whether it works, and getting one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from polydraft.lsp_server import analysers_command
from polydraft.monitors.analysers import install as installing
from polydraft.monitors.analysers import locate
from polydraft.monitors.analysers.catalogue import SPECS, spec_of
from polydraft.monitors.analysis import AnalyserError, AnalyserSettings
from tests.cli.support import Shell
from tests.cli.test_json import check


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is looked for, or installed, in the user's folders."""
    monkeypatch.setattr(locate, "install_root", lambda: tmp_path / "analysers")
    monkeypatch.setattr(installing, "install_root", lambda: tmp_path / "analysers")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "analysers"


def test_the_list_says_where_each_is_or_how_to_get_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    result = shell("analysers", "list")
    assert result.code == 0
    for spec in SPECS:
        assert spec.name in result.out
    assert "polydraft analysers install typescript" in result.out
    assert "rustup component add rust-analyzer" in result.out
    assert "comes with polydraft" in result.out


def test_the_list_as_json_has_the_documented_fields(shell: Shell) -> None:
    result = shell("analysers", "list", "--json")
    check(result.json, "polydraft.analysers/1")
    known = {each["name"]: each for each in result.json["analysers"]}
    assert known["jedi"]["found"] and known["jedi"]["program"] is None
    assert known["ty"]["found"] and Path(known["ty"]["program"]).is_file()
    assert not known["rust-analyzer"]["runs_untrusted"]


@pytest.mark.parametrize("name", ["ty", "jedi", "pyrefly", "clangd"])
def test_a_check_starts_it_for_real(shell: Shell, name: str) -> None:
    result = shell("analysers", "check", name)
    assert result.code == 0, result.err
    assert f"{name} works: " in result.out


def test_a_check_says_what_is_missing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    result = shell("analysers", "check", "typescript")
    assert result.code == 1
    assert "polydraft analysers install typescript" in result.err
    assert "went wrong" not in result.err
    result = shell("analysers", "check", "nobody")
    assert result.code == 1 and "known are ty, jedi" in result.err


def test_installed_from_the_registry_it_is_found_and_works(
    shell: Shell, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not there")
    result = shell("analysers", "install", "typescript")
    if "could not be installed" in result.err:
        pytest.skip(f"the registry is not there: {result.err}")
    assert result.code == 0, result.err
    settings = AnalyserSettings(str(own_folder))
    program = analysers_command.program_of(spec_of("typescript"), settings)
    assert program is not None and Path(program).is_relative_to(own_folder)
    assert "typescript works: " in shell("analysers", "check", "typescript").out
    assert not list(own_folder.glob("*.part"))


def test_what_fails_to_install_leaves_what_was_there(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_folder / "pyrefly").mkdir(parents=True)
    monkeypatch.setattr(
        installing, "_commands", lambda *_: [["/bin/sh", "-c", "echo no >&2; false"]]
    )
    with pytest.raises(AnalyserError, match="could not be installed: no"):
        installing.install(spec_of("pyrefly"))
    assert [each.name for each in own_folder.iterdir()] == ["pyrefly"]
    with pytest.raises(AnalyserError, match="polydraft does not install rust-analyzer"):
        installing.install(spec_of("rust-analyzer"))


def test_a_check_runs_nothing_of_the_folder_that_the_user_stands_in(
    shell: Shell, tmp_path: Path
) -> None:
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for name in ("python", "ty"):
        (binaries / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (binaries / name).chmod(0o755)
    for name in ("ty", "jedi"):
        assert shell("analysers", "check", name).code == 0
    assert not (tmp_path / "ran").exists()


def test_every_analyser_has_a_sample_to_be_checked_with() -> None:
    for spec in SPECS:
        assert any(language in analysers_command.SAMPLES for language in spec.languages)
