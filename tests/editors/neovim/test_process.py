"""The server as a process: found or not, dying, started again; folders; health; help."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path
from typing import Any


def test_a_server_that_dies_is_started_again_and_the_text_is_untouched(
    nvim: Any, poll: Any
) -> None:
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    os.kill(nvim.received("initialize")[0]["pid"], signal.SIGKILL)
    poll(lambda: len(nvim.received("initialize")) == 2)
    poll(lambda: [each for each in nvim.messages() if "starting it again (1 of 3)" in each])
    poll(lambda: len({each["pid"] for each in nvim.received("polydraft/drafts")}) == 2)
    nvim.wait_ghost("foo(1) (1/3)")
    nvim.keys("f")
    nvim.wait_ghost("oo(1) (1/2)")
    assert nvim.text() == ["x = f"]


def test_a_server_that_always_dies_is_given_up_until_reload(nvim: Any, poll: Any) -> None:
    nvim.scenario(at="x = ", drafts=["foo(1)"], die=True)
    nvim.start()
    nvim.keys("ix")
    poll(lambda: [each for each in nvim.messages() if ":Polydraft reload starts it" in each])
    assert len(nvim.received("initialize")) == 4
    assert nvim.text() == ["x"]
    nvim.scenario(at="x = ", drafts=["foo(1)"])
    nvim.keys("<Esc>:Polydraft reload<CR>")
    poll(lambda: len(nvim.received("textDocument/didOpen")) == 5)
    nvim.keys("ox = ")
    nvim.wait_ghost("foo(1)")


def test_what_was_typed_while_the_model_was_loaded_has_its_draft_once_it_is_there(
    nvim: Any, poll: Any
) -> None:
    nvim.scenario(at="x = ", drafts=["foo(1)"], loading=True)
    nvim.start()
    nvim.keys("ix = ")
    poll(lambda: nvim.received("polydraft/drafts"))
    nvim.wait_text("x = ")
    nvim.wait_ghost("")
    nvim.let("loaded")
    nvim.wait_ghost("foo(1)")


def test_reload_asks_the_server(nvim: Any, poll: Any) -> None:
    nvim.start()
    nvim.keys(":Polydraft reload<CR>")
    poll(lambda: nvim.received("polydraft/reload"))
    poll(lambda: "polydraft: ready" in nvim.messages())


def test_without_an_executable_the_message_has_the_remedy(nvim: Any, poll: Any) -> None:
    nvim.environment["PATH"] = "/usr/bin:/bin"
    nvim.start(cmd=[], attach=False)
    poll(nvim.messages)
    assert len(nvim.messages()) == 1
    assert nvim.messages()[0].startswith("polydraft: no executable `polydraft` on PATH.")


def test_the_folder_that_is_opened_does_not_bring_the_server(nvim: Any, poll: Any) -> None:
    decoy = nvim.folder / "work" / "bin" / "polydraft"
    decoy.parent.mkdir(parents=True)
    decoy.write_text("#!/bin/sh\ntouch $(dirname $0)/ran\n")
    decoy.chmod(decoy.stat().st_mode | stat.S_IXUSR)
    nvim.environment["PATH"] = f"{decoy.parent}:work/bin:/usr/bin:/bin"
    nvim.start(cmd=[], attach=False)
    poll(lambda: [each for each in nvim.messages() if "no executable" in each])
    assert not decoy.with_name("ran").exists()


def test_one_server_serves_all_folders(nvim: Any, poll: Any) -> None:
    (nvim.folder / "second" / ".git").mkdir(parents=True)
    (nvim.folder / "second" / "other.py").write_text("")
    nvim.start()
    nvim.keys(":edit second/other.py<CR>")
    poll(lambda: nvim.received("workspace/didChangeWorkspaceFolders"))
    [told] = nvim.received("workspace/didChangeWorkspaceFolders")
    assert [each["uri"].endswith("/second") for each in told["params"]["event"]["added"]] == [True]
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    assert len(nvim.received("initialize")) == 1


def test_the_server_is_told_who_asks(nvim: Any) -> None:
    nvim.start(setup="trusted = true, settings = { k = 5 }")
    [initialize] = nvim.received("initialize")
    options = initialize["params"]["initializationOptions"]
    assert options == {"stream": True, "trusted": True, "k": 5}
    # So that it offers no second way, among the ordinary completions, on 0.11 either.
    assert "inlineCompletion" in initialize["params"]["capabilities"]["textDocument"]


def test_ghost_text_appears_once_if_the_user_switched_the_native_one_on(
    nvim: Any, is_native: bool
) -> None:
    nvim.start(before="vim.lsp.inline_completion.enable(true)" if is_native else "")
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    assert nvim.received("textDocument/inlineCompletion") == []


def test_checkhealth_finds_no_error(nvim: Any, poll: Any) -> None:
    nvim.start()
    nvim.keys(":checkhealth polydraft<CR>")
    poll(lambda: "mapped" in "\n".join(nvim.text()) or "<Tab>: accept" in "\n".join(nvim.text()))
    report = "\n".join(nvim.text())
    assert "ERROR" not in report
    assert "WARNING" not in report
    assert "scripted: ready" in report


def test_checkhealth_names_a_key_that_something_else_has(nvim: Any, poll: Any) -> None:
    nvim.start()
    nvim.keys(":inoremap <lt>Tab> other<CR>:checkhealth polydraft<CR>")
    poll(lambda: "<Tab>, for accept, is mapped by something else" in "\n".join(nvim.text()))


def test_the_help_has_its_tags(nvim: Any, poll: Any) -> None:
    copy = nvim.folder / "doc"
    nvim.start(attach=False)
    source = nvim.get("vim.api.nvim_get_runtime_file('doc/polydraft.txt', false)[1]")
    copy.mkdir()
    (copy / "polydraft.txt").write_bytes(Path(source).read_bytes())
    nvim.get(f"vim.cmd.helptags('{copy}') or true")
    tags = {line.split("\t")[0] for line in (copy / "tags").read_text().splitlines()}
    assert {"polydraft", "polydraft-options", "polydraft-install", ":Polydraft"} <= tags
    verbs = ("accept", "accept_word", "accept_line", "next", "prev", "dismiss", "complete")
    assert {f"polydraft.{verb}()" for verb in verbs} <= tags
