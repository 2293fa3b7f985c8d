"""view = "native": Neovim's own ghost text, from 0.12 on, with the same verbs."""

from __future__ import annotations

from typing import Any


def test_the_verbs_work_on_the_native_ghost_text(nvim: Any, is_native: bool, poll: Any) -> None:
    nvim.start(setup="view = 'native'")
    if not is_native:
        assert nvim.messages() == [
            'polydraft: view = "native" needs Neovim 0.12 (:help polydraft-options)'
        ]
        nvim.keys("ix = ")
        nvim.wait_ghost("foo(1) (1/3)")
        return
    [initialize] = nvim.received("initialize")
    assert initialize["params"]["initializationOptions"]["stream"] is False
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1)")
    nvim.keys("<M-]>")
    nvim.wait_ghost("foobar + 2 (2/3)")
    nvim.keys("<M-[><M-Right>")
    nvim.wait_text("x = foo")
    nvim.wait_ghost("(1)")
    nvim.keys("<Tab>")
    nvim.wait_text("x = foo(1)")
    poll(lambda: nvim.received("workspace/executeCommand"))
    [part] = nvim.received("textDocument/didPartiallyAcceptCompletion")
    assert part["params"]["acceptedLength"] == 3
    nvim.keys("!<Esc>u")
    nvim.wait_text("x = foo(1)")
    nvim.keys("u")
    nvim.wait_text("x = foo")


def test_native_ghost_text_is_dismissed_and_paused(nvim: Any, is_native: bool) -> None:
    nvim.start(setup="view = 'native'")
    if not is_native:
        return
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1)")
    nvim.keys("<C-]>")
    nvim.wait_ghost("")
    nvim.keys("f")
    nvim.wait_ghost("oo(1)")
    nvim.keys("<Cmd>Polydraft pause<CR>")
    nvim.wait_ghost("")
    nvim.keys("<Cmd>Polydraft resume<CR>o")
    nvim.wait_ghost("o(1)")
