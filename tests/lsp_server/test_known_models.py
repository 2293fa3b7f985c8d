"""What an editor's menus ask for: the models to choose from, and what holds for a document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pygls.exceptions import JsonRpcException

from tests.fakes import FakeProvider
from tests.lsp_server.harness import Editor, editing


async def ask(editor: Editor, method: str, params: Any = None) -> Any:
    return await editor.client.protocol.send_request_async(method, params)


async def test_the_known_models_are_told_with_those_that_go_with_them() -> None:
    async with editing(FakeProvider(), text="") as editor:
        models = {each["name"]: each for each in (await ask(editor, "polydraft/models"))["models"]}
    small, large = models["qwen2.5-coder-0.5b"], models["qwen2.5-coder-1.5b"]
    assert small["family"] == large["family"] == "qwen2.5-coder"
    assert large["name"] in small["largeModels"]
    assert small["name"] not in large["largeModels"]
    assert large["parameters"] > small["parameters"] > 4e8
    assert small["bytes"] > 1e8 and isinstance(small["cached"], bool)


async def test_a_request_may_come_without_parameters() -> None:
    async with editing(FakeProvider(), text="") as editor:
        assert (await editor.send_raw("polydraft/models"))["models"]
        assert (await editor.send_raw("polydraft/settings"))["k"] == 3


async def test_a_broken_registry_of_the_users_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "polydraft").mkdir()
    (tmp_path / "polydraft" / "models.toml").write_text("[models.x\n")
    async with editing(FakeProvider(), text="") as editor:
        with pytest.raises(JsonRpcException, match=r"models\.toml"):
            await ask(editor, "polydraft/models")


async def test_the_settings_that_hold_are_told_for_each_folder(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (two / "polydraft.toml").write_text('k = 5\nlanguages_off = ["markdown"]\n')
    folders = {"folders": [one, two], "options": {"large": "big"}}
    async with editing(FakeProvider(), **folders) as editor:
        document = {"textDocument": {"uri": (two / "a.py").as_uri()}}
        assert await ask(editor, "polydraft/settings", document) == {
            "model": "qwen2.5-coder-0.5b",
            "large": "big",
            "k": 5,
            "automatic": True,
            "languagesOff": ["markdown"],
        }
        first = await ask(editor, "polydraft/settings")
        assert (first["k"], first["languagesOff"]) == (3, [])
