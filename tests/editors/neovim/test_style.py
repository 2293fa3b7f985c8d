"""The client's sources are as StyLua writes them (`python -m tests.editors.toolchain stylua`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.editors.toolchain.stylua import CLIENT, out_of_style


def test_the_lua_is_in_style(editor_toolchain: Any, tmp_path: Path) -> None:
    crooked = tmp_path / "crooked.lua"
    crooked.write_text('local x  =  "1"\nif x then\nreturn x\nend\n')
    files = sorted(CLIENT.rglob("*.lua"))
    assert len(files) > 20
    node, stylua = editor_toolchain.node(), editor_toolchain.stylua()
    assert out_of_style(node, stylua, [*files, crooked]) == [crooked]
    assert out_of_style(node, stylua, [crooked], write=True) == [crooked]
    assert crooked.read_text() == "local x = '1'\nif x then return x end\n"
