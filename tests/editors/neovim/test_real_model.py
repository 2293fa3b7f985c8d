"""The whole way: Neovim, the server, real weights."""

from __future__ import annotations

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


@pytest.mark.weights
def test_a_draft_of_the_default_model_is_shown_and_accepted(nvim: Any, poll: Any) -> None:
    server = str(Path(sysconfig.get_path("scripts")) / "polydraft")
    nvim.start(SOURCE, cmd=[server, "serve", "--stdio"])
    ready = "(require('polydraft.status').of() or {}).state"
    # Loading takes several seconds, and minutes where a first conversion of the weights is due.
    for _ in range(15):
        try:
            poll(lambda: nvim.get(ready) == "ready")
            break
        except AssertionError:
            assert nvim.get(ready) != "error", nvim.get("require('polydraft.status').summary()")
    nvim.keys("GA len")
    ghost = poll(nvim.ghost_text, lambda seen: seen.startswith("(values)"))
    assert nvim.text()[-1] == "    return total / len"
    nvim.keys("<Tab>")
    poll(nvim.text, lambda text: text[3].startswith("    return total / len(values)"))
    assert nvim.messages() == [], ghost
