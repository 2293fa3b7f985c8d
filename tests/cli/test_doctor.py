from __future__ import annotations

from pathlib import Path

import pytest

from polydraft.lsp_server.doctor import instructions, memory
from tests.cli.support import Shell, write


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def test_a_machine_without_the_model_is_usable_and_told_how_to_fetch_it(
    shell: Shell, here: Path
) -> None:
    result = shell("doctor")
    assert result.code == 0
    assert "is not on this machine yet" in result.out
    assert "polydraft models pull qwen2.5-coder-0.5b" in result.out
    assert "64 rows" in result.out
    assert "chosen" in result.out
    assert "polydraft can complete here." in result.out


def test_wrong_settings_are_problems_but_not_fatal(shell: Shell, here: Path) -> None:
    write(here / "polydraft.toml", "kk = 3\n")
    found = shell("doctor", "--json").json
    assert found["settings"]["file"] == str(here / "polydraft.toml")
    (problem,) = [each for each in found["problems"] if "kk" in each["message"]]
    assert problem["do"] == f"Correct {here / 'polydraft.toml'}."
    assert found["usable"] is True


def test_a_cache_that_cannot_be_made_is_fatal(
    shell: Shell, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here / "file", "")
    monkeypatch.setenv("POLYDRAFT_CACHE", str(here / "file" / "cache"))
    result = shell("doctor", "--json")
    assert result.code == 1
    fatal = [each["message"] for each in result.json["problems"] if each["fatal"]]
    assert any("cannot be written" in message for message in fatal)


def test_memory_is_read_from_the_system(tmp_path: Path) -> None:
    meminfo = write(tmp_path / "meminfo", "MemTotal: 16 kB\nMemFree: 1 kB\nMemAvailable: 8 kB\n")
    assert memory(meminfo) == (16 * 1024, 8 * 1024)
    total, free = memory(tmp_path / "none")
    assert free is None
    assert total is None or total > 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("flags\t\t: fpu avx2 sse avx512f\n", ["avx2", "avx512f"]),
        ("Features\t: fp asimd asimddp bf16\n", ["asimd", "asimddp", "bf16"]),
        ("nothing\n", []),
    ],
)
def test_instruction_sets_are_those_that_matter(
    tmp_path: Path, text: str, found: list[str]
) -> None:
    assert instructions(write(tmp_path / "cpuinfo", text)) == found
