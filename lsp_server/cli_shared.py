"""What the commands share; importing it costs nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from polydraft.lsp_server.one_shot import Loader, ModelInUse
    from polydraft.lsp_server.settings import Settings

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


def load_models(loader: Loader, settings: Settings) -> list[ModelInUse]:
    """The small model and, if the settings name one that is asked, the large one."""
    from polydraft.lsp_server.failures import CommandError
    from polydraft.lsp_server.loading import LoadingDisplay
    from polydraft.lsp_server.settings import same_model
    from polydraft.models.registry import load_registry

    quiet()
    chosen, registry = settings.models, load_registry()
    small, large = chosen.small, chosen.large
    if large is not None and large.name == small.name:
        raise CommandError(same_model(small.name))
    wanted = [small, *([large] if large is not None else [])]
    specs = [registry.resolve(each.name) for each in wanted]  # unknown names are told first
    loaded = []
    for each, spec in zip(wanted, specs, strict=True):
        with LoadingDisplay(console_for(stderr=True), spec.name, spec.note) as display:
            loaded.append(loader.load(each, display.report, chosen.memory_bytes))
    return loaded
