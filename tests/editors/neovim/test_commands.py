"""The command :Polydraft, the list of drafts, the choice of models, pauses, the options."""

from __future__ import annotations

import json
from typing import Any

MODELS = [
    {"name": "small-1", "family": "one", "parameters": 5, "cached": True, "bytes": 500_000_000},
    {"name": "large-1", "family": "one", "parameters": 15, "cached": False, "bytes": 10**9},
    {"name": "large-2", "family": "two", "parameters": 15, "cached": True, "bytes": 10**9},
    {"name": "large-3", "family": "one", "parameters": 30, "cached": False, "bytes": None},
]


def settings_told(nvim: Any) -> list[Any]:
    """The answers to `workspace/configuration`, which have no method."""
    answers = [each for each in nvim.received(None) if each.get("id") == "settings"]
    return [None, *(each["result"][0] for each in answers)]


LIST_MARKS = (
    "vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_get_namespaces()['polydraft.list'],"
    " 0, -1, { details = true })"
)


def list_headers(nvim: Any) -> list[str]:
    marks = [mark[3] for mark in nvim.get(LIST_MARKS) if "virt_text" in mark[3]]
    return ["".join(text for text, _ in mark["virt_text"]) for mark in marks]


def test_the_command_completes_its_words(nvim: Any) -> None:
    nvim.scenario(at="x = ", drafts=[], models=MODELS)
    nvim.start()

    def completed(line: str) -> Any:
        return nvim.get(f"vim.fn.getcompletion('{line}', 'cmdline')")

    assert completed("Polydraft ") == [
        *("drafts", "log", "pair", "pause", "reload", "resume", "status"),
    ]
    assert completed("Polydraft pause ") == ["file", "language", "workspace"]
    assert completed("Polydraft pair s") == ["small-1"]
    assert completed("Polydraft pair small-1 ") == ["none", "large-1", "large-3"]


def test_status_tells_the_model_and_the_latency(nvim: Any) -> None:
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    nvim.keys("<Esc>")
    shown = nvim.get("vim.fn.execute('Polydraft status')")
    assert "model    scripted" in shown
    assert "state    ready" in shown
    assert " ms (last request)" in shown
    assert nvim.get("require('polydraft').statusline()") == "polydraft"


def test_pausing_and_resuming(nvim: Any) -> None:
    nvim.start()
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")
    for scope in ("", " file", " language", " workspace"):
        nvim.keys(f"<Cmd>Polydraft pause{scope}<CR>")
        nvim.wait_ghost("")
        assert nvim.get("require('polydraft').statusline()") == "polydraft paused"
        nvim.keys(f"<Cmd>Polydraft resume{scope}<CR>")
        nvim.wait_ghost("foo(1) (1/3)")


def test_a_pause_of_a_file_leaves_others_alone(nvim: Any) -> None:
    nvim.start()
    nvim.keys(":Polydraft pause file<CR>:edit work/other.py<CR>ix = ")
    nvim.wait_ghost("foo(1) (1/3)")


def test_the_list_shows_all_drafts_and_inserts_one(nvim: Any, poll: Any) -> None:
    nvim.start("x = \n")
    nvim.keys("$:Polydraft drafts<CR>")
    poll(lambda: nvim.get("#vim.api.nvim_list_wins()") == 2)
    nvim.wait_text("", "foo(1)", "", "foobar + 2", "", "bar")
    [first, *_] = list_headers(nvim)
    assert first == "1  78 % per token (log -0.25) · greedy · small 4, not checked"
    nvim.keys("2")
    nvim.wait_text("x = foobar + 2")
    poll(lambda: nvim.received("workspace/executeCommand"))
    nvim.keys("u")
    nvim.wait_text("x = ")


def test_the_list_gets_better_and_underlines_the_large_model(nvim: Any, poll: Any) -> None:
    better = ["foo(9)", "foo(\n  10)"]
    nvim.scenario(at="x = ", drafts=["foo(1)", "foobar + 2"], better=better)
    nvim.start("x = \n")
    nvim.keys("$:Polydraft drafts<CR>")
    poll(lambda: nvim.get("#vim.api.nvim_list_wins()") == 2)
    nvim.wait_text("", "foo(1)", "", "foobar + 2")
    nvim.let("better")
    nvim.wait_text("", "foo(9)", "", "foo(", "  10)")
    assert list_headers(nvim)[0].endswith("small 2 + large 4, checked")
    marks = [(row, column, more) for _, row, column, more in nvim.get(LIST_MARKS)]
    large = [each for each in marks if each[2].get("hl_group") == "PolydraftLarge"]
    assert [(*each[:2], each[2]["end_row"], each[2]["end_col"]) for each in large] == [
        (1, 3, 1, 6),
        (3, 3, 4, 5),
    ]
    nvim.keys("G<CR>")
    nvim.wait_text("x = foo(", "  10)")


def test_the_list_goes_back_to_insert_mode(nvim: Any, poll: Any) -> None:
    nvim.scenario(at="x = ", drafts=["foo", "foo(\n  1)"], replace=0)
    nvim.start("f()\n")
    nvim.keys("f)ix = <Cmd>Polydraft drafts<CR>")
    poll(lambda: nvim.get("#vim.api.nvim_list_wins()") == 2)
    nvim.keys("jj<CR>")
    nvim.wait_text("f(x = foo(", "  1))")
    poll(lambda: nvim.get("vim.api.nvim_get_mode().mode") == "i")
    nvim.keys("!")
    nvim.wait_text("f(x = foo(", "  1)!)")


def test_a_listed_draft_takes_indentation_back(nvim: Any, poll: Any) -> None:
    nvim.scenario(at="        ", drafts=["else:"], outdent=4)
    nvim.start("if x:\n")
    nvim.keys("o<C-u>        <Cmd>Polydraft drafts<CR>")
    poll(lambda: nvim.get("#vim.api.nvim_list_wins()") == 2)
    nvim.keys("1")
    nvim.wait_text("if x:", "    else:")


def test_the_list_is_closed_by_q(nvim: Any, poll: Any) -> None:
    nvim.start("x = \n")
    nvim.keys("$:Polydraft drafts<CR>")
    poll(lambda: nvim.get("#vim.api.nvim_list_wins()") == 2)
    nvim.keys("q")
    poll(lambda: nvim.get("#vim.api.nvim_list_wins()") == 1)
    assert nvim.text() == ["x = "]


def test_a_pair_is_chosen_from_the_models_and_remembered(nvim: Any, poll: Any) -> None:
    nvim.scenario(at="x = ", drafts=[], models=MODELS)
    before = """
      vim.g.offered = {}
      vim.ui.select = function(items, options, go_on)
        local labels = vim.tbl_map(options.format_item, items)
        vim.g.offered = vim.list_extend(vim.g.offered, { labels })
        go_on(items[#vim.g.offered == 1 and 1 or 2])
      end"""
    nvim.start(before=before, setup="settings = { k = 2 }")
    nvim.keys(":Polydraft pair<CR>")
    poll(lambda: settings_told(nvim)[-1] == {"k": 2, "model": "small-1", "large": "large-1"})
    small, large = nvim.get("vim.g.offered")
    assert small[0] == "small-1 (0.5 GB, here)"
    assert large == [
        "none (one model)",
        "large-1 (1.0 GB, to be fetched)",
        "large-3 (to be fetched)",
    ]
    [stored] = nvim.folder.joinpath("state").rglob("pairs.json")
    root = str(nvim.folder / "work")
    assert json.loads(stored.read_text()) == {root: {"model": "small-1", "large": "large-1"}}
    assert nvim.get(f"require('polydraft.folders').settings('{root}').large") == "large-1"


def test_a_server_that_does_not_list_models_is_told_names(nvim: Any, poll: Any) -> None:
    before = "vim.ui.input = function(o, go_on) go_on(o.prompt:match('empty') and '' or 'mine') end"
    nvim.start(before=before)
    nvim.keys(":Polydraft pair<CR>")
    poll(lambda: settings_told(nvim)[-1] == {"model": "mine", "large": "none"})
    nvim.keys(":Polydraft pair a b<CR>")
    poll(lambda: settings_told(nvim)[-1] == {"model": "a", "large": "b"})


def test_wrong_options_are_told_and_the_rest_works(nvim: Any) -> None:
    nvim.start(setup="colour = 1, view = 'pink', keymaps = { acept = '<C-y>', next = 3 }")
    assert [message.split(" (:help")[0] for message in nvim.messages()] == [
        'polydraft: there is no option "colour"',
        "polydraft: there is no option keymaps.acept",
        "polydraft: keymaps.next must be a key or false",
        'polydraft: view must be "extmark" or "native"',
    ]
    nvim.keys("ix = ")
    nvim.wait_ghost("foo(1) (1/3)")


def test_a_wrong_word_of_the_command_names_the_right_ones(nvim: Any, poll: Any) -> None:
    nvim.start()
    nvim.keys(":Polydraft dance<CR>:Polydraft pause moon<CR>")
    poll(lambda: len(nvim.messages()) == 2)
    assert "drafts, log, pair, pause, reload, resume, status" in nvim.messages()[0]
    assert "file, language, workspace" in nvim.messages()[1]


def test_file_types_that_are_off_have_no_server(nvim: Any) -> None:
    nvim.start(setup="filetypes_off = { 'python' }", attach=False)
    assert nvim.get("vim.bo.filetype") == "python"
    assert nvim.get("#vim.lsp.get_clients()") == 0
    assert nvim.get("require('polydraft').statusline()") == ""
