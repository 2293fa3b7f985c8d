"""The commands `polydraft models ...`."""

from __future__ import annotations

from typing import Annotated

import typer

from polydraft.lsp_server.cli_shared import Json, console_for, quiet
from polydraft.lsp_server.failures import failures

models = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="See, fetch, check and remove models. Example: [cyan]polydraft models list[/]",
    short_help="See, fetch, check and remove models.  [cyan]polydraft models list[/]",
)

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A known model, a hub id (org/name), a directory or a .gguf file."
    ),
]


@models.command("list", short_help="The known models and which are here.")
def models_list(as_json: Json = False) -> None:
    """List the known models: size, licence, whether they see the text behind the cursor, state.

    A models.toml of your own in polydraft's configuration directory adds more.
    """
    from polydraft.lsp_server import models_command, report

    with failures(report.MODELS if as_json else None):
        from polydraft.models.registry import load_registry

        quiet()
        registry = load_registry()
        if as_json:
            print(report.dumps(models_command.list_json(registry)))
        else:
            models_command.print_list(console_for(), registry)


@models.command("info", short_help="All about one model, its sources and its hash.")
def models_info(name: ModelName, as_json: Json = False) -> None:
    """Print what is known about a model, whose packaging each source is, and what its hash pins."""
    from polydraft.lsp_server import models_command, report

    with failures(report.MODEL if as_json else None):
        from polydraft.models.registry import load_registry

        quiet()
        spec = load_registry().resolve(name)
        if as_json:
            print(report.dumps(models_command.info_json(spec)))
        else:
            models_command.print_info(console_for(), spec)


@models.command("pull", short_help="Fetch a model now.  [cyan]polydraft models pull NAME[/]")
def models_pull(
    name: ModelName,
    force: Annotated[
        bool, typer.Option("--force", metavar="", help="Drop what is here and fetch it anew.")
    ] = False,
) -> None:
    """Fetch a model, check it and convert it. An interrupted download goes on where it stopped."""
    with failures():
        from polydraft.lsp_server.loading import LoadingDisplay
        from polydraft.models.registry import load_registry

        quiet()
        spec = load_registry().resolve(name)
        with LoadingDisplay(console_for(stderr=True), spec.name, spec.note) as display:
            from polydraft.models.store import ensure_model

            directory = ensure_model(spec, progress=display.report, force=force)
        print(f"{spec.name} is ready: {directory}")


@models.command("path", short_help="Where a model's files are.")
def models_path(name: ModelName) -> None:
    """Print the directory of a model's files and nothing else; exit code 1 if it is not here."""
    with failures():
        from polydraft.lsp_server.failures import CommandError
        from polydraft.models.registry import load_registry
        from polydraft.models.store import is_ready

        spec = load_registry().resolve(name)
        path = is_ready(spec)
        if path is None:
            raise CommandError(
                f"{spec.name} is not on this machine. `polydraft models pull {name}` fetches it."
            )
        print(path)


@models.command("verify", short_help="Compare a model's files with their hashes.")
def models_verify(name: ModelName) -> None:
    """Compare every file of a converted model with the hash that was written down for it."""
    with failures():
        from polydraft.lsp_server.loading import LoadingDisplay
        from polydraft.models.registry import load_registry

        quiet()
        spec = load_registry().resolve(name)
        with LoadingDisplay(console_for(stderr=True), spec.name) as display:
            from polydraft.models.store import verify

            directory = verify(spec, progress=display.report)
        print(f"{spec.name} is whole: {directory}")


@models.command("remove", short_help="Delete a model's files from the cache.")
def models_remove(name: ModelName) -> None:
    """Delete a model's converted files and downloads.

    Files in the hub's own cache and directories of yours are left alone.
    """
    with failures():
        from polydraft.lsp_server.models_command import size
        from polydraft.models.registry import load_registry
        from polydraft.models.store import remove

        spec = load_registry().resolve(name)
        freed = remove(spec)
        if freed:
            print(f"{spec.name} is removed; {size(freed)} freed.")
        else:
            print(f"{spec.name} has no files in polydraft's cache.")
