"""The commands `polydraft analysers ...`."""

from __future__ import annotations

from typing import Annotated

import typer

from polydraft.lsp_server.cli_shared import Json, console_for
from polydraft.lsp_server.failures import failures

analysers = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="See, try and install what analyses source for the monitors (docs/monitors.md).",
    short_help="See, try and install analysers.  [cyan]polydraft analysers list[/]",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `polydraft analysers list` says.")]


@analysers.command("list", short_help="The known analysers and which are here.")
def analysers_list(as_json: Json = False) -> None:
    """List the known analysers: for which languages, where they are, how to get the others.

    Programs of the folder that you stand in come first (node_modules, .venv).
    """
    from polydraft.lsp_server import analysers_command, report

    with failures(report.ANALYSERS if as_json else None):
        settings = analysers_command.here()
        if as_json:
            print(report.dumps(analysers_command.list_json(settings)))
        else:
            analysers_command.print_list(console_for(), settings)


@analysers.command("check", short_help="Start one and have it answer.")
def analysers_check(name: Name) -> None:
    """Start an analyser on a tiny file of its language, and say what it answered and how fast."""
    from polydraft.lsp_server import analysers_command

    with failures():
        done = analysers_command.check(name)
        print(
            f"{name} works: {done.names} names, {done.grade}; first answer after"
            f" {done.start_ms:.0f} ms, the next after {done.again_ms:.0f} ms"
        )


@analysers.command("install", short_help="Get one into a folder of polydraft's own.")
def analysers_install(name: Name) -> None:
    """Install an analyser from its package registry, apart from all your projects.

    The folder is removed with `rm -r`; nothing is installed unless you ask for it here.
    """
    with failures():
        from polydraft.monitors.analysers.catalogue import spec_of
        from polydraft.monitors.analysers.install import install

        folder = install(spec_of(name))
        print(f"{name} is in {folder}")
