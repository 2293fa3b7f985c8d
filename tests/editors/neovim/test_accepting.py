"""Drafts that become text: all of one, a word, a line; what they replace; how it is undone."""

from __future__ import annotations

from typing import Any


def test_all_of_a_draft_is_accepted_and_told(nvim: Any, poll: Any) -> None:
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    nvim.keys("<Tab>")
    nvim.wait_text("x = foo(1)")
    nvim.wait_ghost("")
    poll(lambda: nvim.received("workspace/executeCommand"))
    command = nvim.received("workspace/executeCommand")[0]["params"]
    assert command == {"command": "polydraft.accepted", "arguments": ["4.0"]}
    assert nvim.received("polydraft/hidden") == []
    nvim.keys("!")
    nvim.wait_text("x = foo(1)!")


def test_word_by_word_and_told_how_far(nvim: Any, poll: Any) -> None:
    nvim.scenario(at="x = ", drafts=["größe_🙂 + b"], hold=True)
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("größe_🙂 + b")
    nvim.keys("<M-Right>")
    nvim.wait_text("x = größe_🙂")
    nvim.wait_ghost(" + b")
    nvim.keys("<M-Right>")
    nvim.wait_text("x = größe_🙂 +")
    nvim.keys("<M-Right>")
    nvim.wait_text("x = größe_🙂 + b")
    method = "textDocument/didPartiallyAcceptCompletion"
    poll(lambda: len(nvim.received(method)) == 2 and nvim.received("workspace/executeCommand"))
    assert [each["params"]["acceptedLength"] for each in nvim.received(method)] == [8, 10]


def test_line_by_line(nvim: Any) -> None:
    nvim.scenario(at="if x:", drafts=[" # yes\n    a()\n    b()"])
    nvim.start()
    nvim.keys("iif x:")
    nvim.wait_ghost(" # yes\n    a()\n    b()")
    nvim.keys("<M-End>")
    nvim.wait_text("if x: # yes")
    nvim.wait_ghost("\n    a()\n    b()")
    nvim.keys("<M-End>")
    nvim.wait_text("if x: # yes", "    a()")
    nvim.wait_ghost("\n    b()")
    nvim.keys("<M-End>")
    nvim.wait_text("if x: # yes", "    a()", "    b()")


def test_an_accepted_draft_is_one_step_of_undo(nvim: Any) -> None:
    nvim.scenario(at="x = ", drafts=["foo(\n    1,\n)"])
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(\n    1,\n)")
    nvim.keys("<Tab>")
    nvim.wait_text("x = foo(", "    1,", ")")
    nvim.keys(" + y<Esc>")
    nvim.wait_text("x = foo(", "    1,", ") + y")
    nvim.keys("u")
    nvim.wait_text("x = foo(", "    1,", ")")
    nvim.keys("u")
    nvim.wait_text("x = ")
    nvim.keys("u")
    nvim.wait_text("")
    nvim.keys("<C-r><C-r>")
    nvim.wait_text("x = foo(", "    1,", ")")


def test_text_behind_the_cursor_is_replaced_when_all_is_accepted(nvim: Any) -> None:
    nvim.scenario(at="x = ", drafts=["foo(1))"], replace=1)
    nvim.start("f()\n")
    nvim.keys("f)ix = ")
    nvim.wait_ghost("foo(1)")  # before the bracket that is there, and will be
    nvim.keys("<M-Right>")
    nvim.wait_text("f(x = foo)")
    nvim.wait_ghost("(1)")
    nvim.keys("<Tab>")
    nvim.wait_text("f(x = foo(1))")


def test_text_that_will_be_gone_is_covered(nvim: Any) -> None:
    nvim.scenario(at="x = ", drafts=["foo"], replace=3)
    nvim.start("f(old, y)\n")
    nvim.keys("foix = ")
    nvim.wait_ghost("foo, y)")
    assert [each["how"] for each in nvim.ghost()] == ["overlay"]
    nvim.keys("<Tab>")
    nvim.wait_text("f(x = foo, y)")


def test_a_file_with_crlf_stays_one(nvim: Any, poll: Any) -> None:
    nvim.scenario(at="x:", drafts=["\n    a\n    b"])
    nvim.start("one\r\ntwo\r\n")
    nvim.keys("Goif x:")
    nvim.wait_ghost("\n    a\n    b")
    nvim.keys("<Tab><Esc>:w<CR>")
    file = nvim.folder / "work" / "file.py"
    poll(lambda: file.read_bytes() == b"one\r\ntwo\r\nif x:\r\n    a\r\n    b\r\n")


def test_crlf_lines_that_are_edited_as_unix_lines_stay_alike(nvim: Any, poll: Any) -> None:
    nvim.scenario(at="x:", drafts=["\n    a\n    b"])
    nvim.start("if x\r\ntwo\r\nmixed\n")
    nvim.keys("$i:")
    nvim.wait_ghost("\n    a\n    b")
    nvim.keys("<Tab><Esc>")
    nvim.wait_text("if x:\r", "    a\r", "    b\r", "two\r", "mixed")


def test_a_line_of_blanks_takes_a_draft(nvim: Any) -> None:
    nvim.scenario(at="    ", drafts=["return x"])
    nvim.start()
    nvim.keys("i    ")
    nvim.wait_ghost("return x")
    nvim.keys("<Tab>")
    nvim.wait_text("    return x")


def test_a_draft_may_take_indentation_back(nvim: Any) -> None:
    nvim.scenario(at="        ", drafts=["else:\n        y()"], outdent=4)
    nvim.start("if x:\n")
    nvim.keys("o<C-u>        ")
    nvim.wait_ghost("else:\n        y()")
    [first, *_] = nvim.ghost()
    assert (first["how"], first["at"]) == ("overlay", [1, 4])  # where it will stand
    nvim.keys("<Tab>")
    nvim.wait_text("if x:", "    else:", "        y()")
    nvim.keys("<C-o>u")
    nvim.wait_text("if x:", "        ")


def test_typed_at_another_depth_such_a_draft_is_gone(nvim: Any) -> None:
    nvim.scenario(at="        ", drafts=["else:"], outdent=4)
    nvim.start("if x:\n")
    nvim.keys("o<C-u>        ")
    nvim.wait_ghost("else:")
    nvim.scenario(at="nowhere", drafts=[])
    nvim.keys("e")
    nvim.wait_ghost("")


def test_without_a_draft_the_key_does_what_it_did(nvim: Any) -> None:
    before = "vim.keymap.set('i', '<M-End>', function() return 'mine' end, { expr = true })"
    nvim.start(before=before, name="file.txt")
    nvim.keys("iy<Tab>")
    nvim.wait_text("y\t")
    nvim.keys("<M-End>")
    nvim.wait_text("y\tmine")


def test_keys_may_be_others_or_none(nvim: Any) -> None:
    nvim.start(setup="keymaps = { accept = '<C-y>', dismiss = false }")
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    nvim.keys("<C-y>")
    nvim.wait_text("x = foo(1)")
    assert nvim.get("vim.fn.maparg('<C-]>', 'i')") == ""


def test_verbs_are_functions_and_say_whether_there_was_a_draft(nvim: Any) -> None:
    nvim.start()
    assert nvim.get("require('polydraft').accept()") is False
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    assert nvim.get("require('polydraft').accept_word()") is True
    nvim.wait_text("x = foo")
