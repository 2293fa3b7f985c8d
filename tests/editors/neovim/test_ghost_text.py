"""What is seen while typing, and when nothing is."""

from __future__ import annotations

from typing import Any

import pytest


def test_a_draft_is_shown_behind_the_cursor(nvim: Any) -> None:
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    assert nvim.text() == ["x = "]


def test_the_first_draft_is_shown_while_the_others_are_in_work(nvim: Any) -> None:
    nvim.scenario(at="x = ", drafts=["foo(1)", "bar"], hold=True)
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1)")  # no number, since how many there will be is not known
    nvim.let("go")
    nvim.wait_ghost("foo(1) (1/2)")


def test_typing_through_a_draft_keeps_what_is_left_without_an_answer(nvim: Any) -> None:
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    nvim.scenario(at="x = ", drafts=["foo(1)", "foobar + 2"], hold=True)  # answers no more
    nvim.keys("fo")
    nvim.wait_ghost("o(1) (1/2)")
    nvim.keys("ob")
    nvim.wait_ghost("ar + 2")


def test_an_older_request_is_cancelled(nvim: Any, poll: Any) -> None:
    nvim.scenario(at="x = ", drafts=["foo(1)"], hold=True)
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1)")
    nvim.keys("f")
    poll(lambda: nvim.received("$/cancelRequest"))
    requests = nvim.received("polydraft/drafts")
    assert nvim.received("$/cancelRequest")[-1]["params"]["id"] in [each["id"] for each in requests]


def test_what_is_not_typed_through_disappears(nvim: Any) -> None:
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    nvim.keys("z")
    nvim.wait_ghost("")


def test_drafts_are_cycled_both_ways(nvim: Any) -> None:
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    nvim.keys("<M-]>")
    nvim.wait_ghost("foobar + 2 (2/3)")
    nvim.keys("<M-]><M-]>")
    nvim.wait_ghost("foo(1) (1/3)")
    nvim.keys("<M-[>")
    nvim.wait_ghost("bar (3/3)")


def test_the_chosen_draft_stays_chosen_while_it_is_typed(nvim: Any, poll: Any) -> None:
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    nvim.keys("<M-]>")
    nvim.wait_ghost("foobar + 2 (2/3)")
    asked = len(nvim.received("polydraft/drafts"))
    nvim.keys("f")
    poll(lambda: len(nvim.received("polydraft/drafts")) > asked)
    nvim.wait_ghost("oobar + 2 (2/2)")


def test_dismissed_drafts_come_back_when_the_text_changes(nvim: Any) -> None:
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    nvim.keys("<C-]>")
    nvim.wait_ghost("")
    assert nvim.text() == ["x = "]
    nvim.keys("f")
    nvim.wait_ghost("oo(1) (1/2)")


def test_invoking_says_that_it_was_no_typing(nvim: Any, poll: Any) -> None:
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    assert nvim.received("polydraft/drafts")[-1]["params"]["automatic"] is True
    nvim.keys("<M-Bslash>")
    poll(lambda: nvim.received("polydraft/drafts")[-1]["params"]["automatic"] is False)


def test_several_lines_are_seen_below(nvim: Any) -> None:
    nvim.scenario(at="def f():", drafts=["\n    return 1\n"])
    nvim.start()
    nvim.keys("idef f():")
    nvim.wait_ghost("\n    return 1\n")


def test_tabs_are_seen_as_wide_as_they_will_be(nvim: Any) -> None:
    nvim.scenario(at="f() {", drafts=["\n\tx\t= 1"])
    nvim.start("", name="file.go")
    nvim.keys("if() {")
    nvim.wait_ghost("\n        x       = 1")


def test_nothing_is_seen_outside_of_insert_mode(nvim: Any) -> None:
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    nvim.keys("<Esc>")
    nvim.wait_ghost("")


def test_nothing_is_seen_beside_a_completion_menu(nvim: Any, poll: Any) -> None:
    nvim.start("foolish = 1\nfoo_two = 2\n")
    nvim.keys("Gox = ")
    nvim.wait_ghost("foo(1) (1/3)")
    nvim.keys("fo<C-x><C-n>")
    poll(lambda: nvim.get("vim.fn.pumvisible()") == 1)
    nvim.wait_ghost("")
    nvim.keys("<C-e>")
    nvim.wait_ghost("o(1) (1/2)")


@pytest.mark.parametrize(("module", "question"), [("cmp", "visible"), ("blink.cmp", "is_visible")])
def test_nothing_is_seen_beside_the_menu_of_a_plugin(nvim: Any, module: str, question: str) -> None:
    # A stand-in with the plugin's own question: the plugins themselves are not installed here.
    before = f"""
      vim.g.menu = true
      package.loaded['{module}'] = {{ {question} = function() return vim.g.menu end }}"""
    nvim.start(before=before)
    nvim.keys("ix = ")
    nvim.wait_ghost("")
    nvim.keys("<Cmd>let g:menu = v:false<CR>f")
    nvim.wait_ghost("oo(1) (1/2)")


def test_nothing_is_seen_while_a_snippet_is_filled_in(nvim: Any, poll: Any) -> None:
    nvim.start()
    nvim.keys('i<Cmd>lua vim.snippet.expand("x = $1; $2")<CR>')
    poll(lambda: nvim.get("vim.snippet.active()"))
    nvim.keys("f")
    nvim.wait_text("x = f; ")
    nvim.wait_ghost("")
    assert nvim.received("polydraft/drafts") == []


def test_nothing_is_asked_while_a_macro_is_recorded_or_run(nvim: Any) -> None:
    nvim.start()
    nvim.keys("qqix = f<Esc>q")
    nvim.wait_text("x = f")
    nvim.keys("@q")
    nvim.wait_text("x = x = ff")
    assert nvim.received("polydraft/drafts") == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_a_cursor_behind_an_emoji_is_where_the_server_thinks(nvim: Any, encoding: str) -> None:
    nvim.scenario(at="x = ", drafts=["'👍🏽')"], replace=1, encoding=encoding)
    nvim.start("'🙂', )\n")
    nvim.keys("f)ix = ")
    nvim.wait_ghost("'👍🏽'")
    nvim.keys("<Tab>")
    nvim.wait_text("'🙂', x = '👍🏽')")


def test_better_drafts_take_their_place(nvim: Any, poll: Any) -> None:
    better = ["foo(9)", "foobaz"]
    nvim.scenario(at="x = ", drafts=["foo(1)", "foobar + 2"], better=better)
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/2)")
    nvim.keys("<M-]>")
    nvim.wait_ghost("foobar + 2 (2/2)")
    nvim.let("better")
    nvim.wait_ghost("foobaz (2/2)")
    nvim.keys("<Tab>")
    nvim.wait_text("x = foobaz")


def test_better_drafts_for_an_older_text_are_ignored(nvim: Any, poll: Any) -> None:
    nvim.scenario(at="x = ", drafts=["foo(1)"], better=["foo(9)"])
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1)")
    nvim.scenario(at="x = ", drafts=["foo(1)"], hold=True)
    nvim.keys("f")
    nvim.wait_ghost("oo(1)")
    nvim.let("better")
    nvim.keys("o")
    nvim.wait_ghost("o(1)")


def test_the_server_is_told_what_is_shown_and_hidden(nvim: Any, poll: Any) -> None:
    def ids(method: str) -> list[str]:
        items = [each["params"]["item"] for each in nvim.received(method)]
        return [item["command"]["arguments"][0] for item in items]

    nvim.start()
    nvim.keys("ix = ")
    poll(lambda: ids("textDocument/didShowCompletion") == ["4.0"])
    nvim.keys("<M-]>")
    poll(lambda: ids("textDocument/didShowCompletion") == ["4.0", "4.1"])
    poll(lambda: ids("polydraft/hidden") == ["4.0"])
    nvim.keys("<Esc>")
    poll(lambda: ids("polydraft/hidden") == ["4.0", "4.1"])


def test_the_first_of_newer_drafts_is_shown_unless_another_was_chosen(nvim: Any) -> None:
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    nvim.scenario(at="x = ", drafts=["b0", "bar"])
    nvim.keys("b")
    nvim.wait_ghost("0 (1/2)")
