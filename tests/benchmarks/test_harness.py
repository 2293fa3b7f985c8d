"""A result says by which command it comes again."""

from __future__ import annotations

import pytest

from benchmarks.harness import make_command


@pytest.mark.parametrize(
    ("name", "words", "command"),
    [
        ("decode", [], "make bench-decode"),
        ("drafters-dev-k3", ["--k", "3"], "make bench-drafters ARGS='--k 3'"),
        (
            "llama",
            ["--llama-python", "/x/bin/python"],
            "make bench-llama ARGS='--llama-python PATH'",
        ),
    ],
)
def test_a_command_names_its_target_and_no_path(name: str, words: list[str], command: str) -> None:
    assert make_command(name, words) == command
