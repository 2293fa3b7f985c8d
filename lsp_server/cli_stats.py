"""The command `polydraft stats`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from polydraft.lsp_server.cli_shared import Json, console_for
from polydraft.lsp_server.failures import UsageError, failures

_DAY_S = 86400.0


def stats(
    days: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the last N days.")
    ] = None,
    as_json: Json = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw them by day into an SVG file.")
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", metavar="", help="Delete all that was kept.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", metavar="", help="Do not ask.")] = False,
) -> None:
    """Say what became of the drafts: seen, taken, still there after 30 seconds and 5 minutes.

    Kept on this machine only, and only if you switch it on in your editor (setting `metrics`,
    docs/stats.md): numbers and names of models, no text.
    """
    from polydraft.lsp_server.report import STATS, dumps

    with failures(STATS if as_json else None):
        from polydraft.lsp_server.acceptance_store import AcceptanceStore, store_path

        store = AcceptanceStore(store_path())
        if clear:
            _clear(store.path, yes)
            found = store.clear()
            print(f"Deleted {store.path}." if found else "Nothing was kept.")
            return
        from polydraft.lsp_server import stats as report

        stored = store.read(0.0 if days is None else time.time() - days * _DAY_S)
        if plot is not None and stored:
            report.draw(stored, plot)
        if as_json:
            print(dumps(report.to_json(stored, store.path)))
        elif not stored:
            print(report.HOW_TO if days is None else f"Nothing in the last {days} days.")
        else:
            report.print_stats(console_for(), stored)


def _clear(file: Path, yes: bool) -> None:
    """Ask, unless that was answered before."""
    if yes or not file.exists():
        return
    if not sys.stdin.isatty():
        raise UsageError("--clear deletes all that was kept; add --yes where nobody can be asked.")
    typer.confirm(f"Delete {file}?", abort=True)
