"""What the commands share; importing it costs nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

Json = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON (docs/json.md).")]


def quiet() -> None:
    """Keep the model libraries from writing to the terminal."""
    from polydraft.lsp_server.loading import quiet_libraries

    quiet_libraries()


def console_for(*, stderr: bool = False) -> Console:
    """A console for standard output, or for standard error."""
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 500  # a pipe has no width: lines stay whole
    return console
