"""The whole way: Neovim, the server, real weights."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path
from typing import Any

import pytest

SOURCE = '''\
def mean(values):
    """The arithmetic mean of a list of numbers."""
    total = sum(values)
    return total /
'''


def wait_ready(nvim: Any, poll: Any, model: str) -> None:
    """Loading takes several seconds, and minutes where a first conversion of weights is due."""
    state = f"(require('polydraft.status').of() or {{}}).{model}"
    for _ in range(15):
        try:
            poll(lambda: nvim.get(state) == "ready")
            return
        except AssertionError:
            assert nvim.get(state) != "error", nvim.get("require('polydraft.status').summary()")
    poll(lambda: nvim.get(state) == "ready")


@pytest.mark.weights
def test_a_draft_of_the_default_model_is_shown_and_accepted(nvim: Any, poll: Any) -> None:
    server = str(Path(sysconfig.get_path("scripts")) / "polydraft")
    nvim.start(SOURCE, cmd=[server, "serve", "--stdio"])
    wait_ready(nvim, poll, "state")
    nvim.keys("GA len")
    ghost = poll(nvim.ghost_text, lambda seen: seen.startswith("(values)"))
    assert nvim.text()[-1] == "    return total / len"
    nvim.keys("<Tab>")
    poll(nvim.text, lambda text: text[3].startswith("    return total / len(values)"))
    assert nvim.messages() == [], ghost


@pytest.mark.weights
@pytest.mark.parametrize("nvim_binary", ["0.12"], indirect=True)
def test_a_second_model_is_chosen_from_the_servers_list_while_it_runs(nvim: Any, poll: Any) -> None:
    before = """
      vim.g.offered = {}
      vim.ui.select = function(items, options, go_on)
        local labels = vim.tbl_map(options.format_item, items)
        vim.g.offered = vim.list_extend(vim.g.offered, { labels })
        local wanted = #vim.g.offered == 1 and 'qwen2.5-coder-0.5b' or 'qwen2.5-coder-1.5b'
        for index, label in ipairs(labels) do
          if vim.startswith(label, wanted) then return go_on(items[index], index) end
        end
      end"""
    server = str(Path(sysconfig.get_path("scripts")) / "polydraft")
    nvim.start(SOURCE, cmd=[server, "serve", "--stdio"], before=before)
    wait_ready(nvim, poll, "state")
    assert nvim.get("require('polydraft.status').of().largeState") == "none"
    nvim.keys(":Polydraft pair<CR>")
    wait_ready(nvim, poll, "largeState")
    assert nvim.get("require('polydraft.status').of().large") == "qwen2.5-coder-1.5b"
    small, large = nvim.get("vim.g.offered")
    assert re.fullmatch(r"qwen2\.5-coder-0\.5b \(\d\.\d GB, here\)", small[0])
    assert not [label for label in small if "0.0 GB" in label]
    assert large[0] == "none (one model)"
    nvim.keys("GA len")
    poll(nvim.ghost_text, lambda seen: seen.startswith("(values)"))
    nvim.keys("<Esc>:Polydraft pair qwen2.5-coder-0.5b none<CR>")
    poll(lambda: nvim.get("require('polydraft.status').of().largeState") == "none")
