from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tiny import write_tiny_directory

from polydraft.completion.pass_costs import PassCosts
from polydraft.lsp_server.doctor import instructions
from polydraft.models.cache_dir import cache_root
from polydraft.models.pass_costs import remember
from tests.cli.support import Shell, write
from tests.cli.test_json import OPAQUE, check


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


@pytest.fixture
def own_cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, save for what was measured of this processor."""
    folder = tmp_path / "cache"
    folder.mkdir()
    if (kernels := cache_root() / "kernels.json").is_file():
        shutil.copy(kernels, folder)
    monkeypatch.setenv("POLYDRAFT_CACHE", str(folder))
    return folder


def use_pair(here: Path, small: Path, large: Path, more: str = "") -> None:
    """A trusted registry knows two directories; the folder's settings name them."""
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "polydraft" / "models.toml"
    text = "".join(
        f"""
[model.tiny-{role}]
family = "qwen2.5-coder"
sources = [{{ path = "{path}" }}]
"""
        for role, path in (("small", small), ("large", large))
    )
    write(config, text)
    write(here / "polydraft.toml", f'model = "tiny-small"\nlarge = "tiny-large"\n{more}')


@pytest.fixture
def pair(tmp_path: Path, own_cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return (
        write_tiny_directory("qwen2.5-coder", tmp_path / "small"),
        write_tiny_directory("qwen2.5-coder", tmp_path / "large", seed=1),
    )


def test_memory_for_the_model_in_use_is_told_before_it_is_fetched(shell: Shell, here: Path) -> None:
    memory = shell("doctor", "--json").json["memory"]
    (device,) = memory.values()
    assert device["needed_bytes"] > 400_000_000
    assert list(device["models"]) == ["qwen2.5-coder-0.5b"]
    assert "pair" not in shell("doctor", "--json").json


def test_a_pair_is_said_to_agree_with_what_its_steps_cost(
    shell: Shell, here: Path, pair: tuple[Path, Path], own_cache_dir: Path
) -> None:
    on_cpu = 'device = "cpu"\nweights = "f32"\nlarge_device = "cpu"\nlarge_weights = "f32"\n'
    use_pair(here, *pair, on_cpu)
    found = shell("doctor", "--json").json
    assert found["settings"]["large"] == "tiny-large"
    assert found["pair"] == {
        "small": "tiny-small",
        "large": "tiny-large",
        "same_tokenizer": True,
        "step_ms_small": None,
        "step_ms_large": None,
        "step_ratio": None,
    }
    assert found["memory"]["cpu"]["fits"] is True
    assert set(found["memory"]["cpu"]["models"]) == {"tiny-small", "tiny-large"}
    assert "not measured yet" in shell("doctor").out
    remember(own_cache_dir, "tiny-small, cpu, f32", PassCosts({1: 8.0}))
    remember(own_cache_dir, "tiny-large, cpu, f32", PassCosts({1: 20.0}))
    assert shell("doctor", "--json").json["pair"]["step_ratio"] == 2.5
    out = " ".join(shell("doctor").out.split())
    assert "tokenizers agree; a step takes 8.0 and 20.0 ms, 2.5 times as long" in out


def test_a_large_model_with_other_tokens_is_a_problem_but_not_fatal(
    shell: Shell, here: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    use_pair(here, pair[0], write_tiny_directory("starcoder2", tmp_path / "other"))
    found = shell("doctor", "--json").json
    check(found, "polydraft.doctor/1", OPAQUE)
    assert found["pair"]["same_tokenizer"] is False
    (problem,) = [each for each in found["problems"] if "tokenizers differ" in each["message"]]
    assert problem["fatal"] is False
    assert "DIFFER" in shell("doctor").out


def test_a_pair_beyond_the_memory_it_may_take_is_refused_by_name(
    shell: Shell, here: Path, pair: tuple[Path, Path]
) -> None:
    use_pair(here, *pair, "memory_gb = 0.001\n")
    found = shell("doctor", "--json").json
    assert [device["fits"] for device in found["memory"].values()] == [False]
    assert any("does not fit into memory" in each["message"] for each in found["problems"])


def test_a_large_model_that_is_not_here_is_not_taken_from_an_untrusted_folder(
    shell: Shell, here: Path, pair: tuple[Path, Path]
) -> None:
    use_pair(here, *pair)
    file = here / "polydraft.toml"
    write(file, file.read_text().replace("tiny-large", "qwen2.5-coder-1.5b"))
    found = shell("doctor", "--json").json
    assert found["settings"]["large"] == "none"
    assert "pair" not in found
    assert any('"large"' in each["message"] for each in found["problems"])


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
