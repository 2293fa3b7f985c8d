"""`polydraft calibrate`: a pair's thresholds from the workspace's own files (docs/calibrate.md)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polydraft.lsp_server.cli_shared import Json, console_for, load_models
from polydraft.lsp_server.failures import (
    FAILED,
    INTERRUPTED,
    CommandError,
    UsageError,
    failures,
)

if TYPE_CHECKING:
    from polydraft.lsp_server.calibrate import Asked
    from polydraft.lsp_server.calibration_store import CalibrationStore
    from polydraft.lsp_server.one_shot import Loader
    from polydraft.lsp_server.report import Json as JsonValue


def calibrate(
    ctx: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="The workspace, as the editor opens it; else the nearest folder above with a"
            " polydraft.toml or a .git.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The small model; else the settings'.")
    ] = None,
    large: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The large model; else the settings', or the default."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="bild, cascade or ead; else the settings'."),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            min=0,
            max=1,
            show_default="0.35",
            help="Target: at most this share of the tokens from the large model.",
        ),
    ] = None,
    quality: Annotated[
        float | None,
        typer.Option(
            metavar="Q",
            min=0,
            max=1,
            help="Target instead: this share of the large model's gain in quality, for the least"
            " share of its tokens.",
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(metavar="M", min=0.01, help="Measure no longer than this.")
    ] = 5.0,
    points: Annotated[
        int, typer.Option(metavar="N", min=1, max=10_000, help="Measure at most N places.")
    ] = 200,
    seed: Annotated[int, typer.Option(metavar="N", help="Which places.")] = 0,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg", help="Where the picture goes; else beside the result."),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", metavar="", help="Print the last result; measure nothing.")
    ] = False,
    reset: Annotated[
        bool,
        typer.Option("--reset", metavar="", help="Delete the result and all that was measured."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Run both models of a pair over the workspace's own files, and keep the thresholds that meet
    a target, which then hold in this workspace unless the settings name others.

    What was measured is kept: the same command goes on where it ended or was interrupted. No text
    of your files is kept, and nothing is written into the workspace.

    [dim]Examples:[/]

      [cyan]polydraft calibrate[/]
      [cyan]polydraft calibrate --quality 0.95 --minutes 20[/]
    """  # fmt: skip
    from polydraft.lsp_server.report import CALIBRATE

    with failures(CALIBRATE if as_json else None):
        from polydraft.lsp_server.calibration_store import CalibrationStore
        from polydraft.lsp_server.one_shot import Options, root_of

        root = _root(folder) or root_of(Path.cwd() / "any") or Path.cwd()
        store = CalibrationStore(root)
        if reset:
            _reset(store, as_json)
            return
        if show:
            _show(ctx.obj, store, root, as_json)
            return
        if share is not None and quality is not None:
            raise UsageError("Choose one of --share and --quality.")
        from polydraft.lsp_server.calibrate import Asked
        from polydraft.lsp_server.calibration import Target

        target = Target("share", 0.35 if share is None else share)
        if quality is not None:
            target = Target("quality", quality)
        options = Options(model=model, large=large, policy=policy)
        asked = Asked(root, options, target, minutes, points, seed)
        _measure(ctx.obj, asked, store, plot, as_json)


def _root(folder: Path | None) -> Path | None:
    if folder is None:
        return None
    root = folder.expanduser().absolute()
    if not root.is_dir():
        raise UsageError(f"{folder} is no folder.")
    return root


def _measure(
    loader: Loader | None,
    asked: Asked,
    store: CalibrationStore,
    plot: Path | None,
    as_json: bool,
) -> None:
    from polydraft.lsp_server.calibrate import carry_out, plan
    from polydraft.lsp_server.calibration_report import progress_bar
    from polydraft.lsp_server.one_shot import RegistryLoader

    loader = loader or RegistryLoader()
    what = plan(asked, loader.is_ready)
    for problem in what.problems:
        print(f"polydraft: {problem}", file=sys.stderr)
    store.require_writable()
    loaded = load_models(loader, what.settings)
    with progress_bar(console_for(stderr=True), len(what.points), asked.minutes) as progress:
        answer = carry_out(what, loaded, loader, store, progress)
    _print(answer, plot or store.picture, as_json)
    if answer["interrupted"]:
        if as_json:
            raise typer.Exit(INTERRUPTED)
        raise KeyboardInterrupt(
            f"{answer['points']} points are kept; the same command goes on from there."
        )
    if not answer["met"]:
        raise typer.Exit(FAILED)


def _print(answer: JsonValue, picture: Path, as_json: bool) -> None:
    from polydraft.lsp_server.calibration_plot import draw
    from polydraft.lsp_server.calibration_report import print_result
    from polydraft.lsp_server.report import dumps

    drawn = bool(answer["settings"]) and draw(answer, picture)
    answer["plot"] = str(picture) if drawn else None
    if as_json:
        print(dumps(answer))
    else:
        print_result(console_for(), answer)


def _show(loader: Loader | None, store: CalibrationStore, root: Path, as_json: bool) -> None:
    from polydraft.lsp_server.calibrate import usage
    from polydraft.lsp_server.calibration_report import print_result
    from polydraft.lsp_server.one_shot import RegistryLoader
    from polydraft.lsp_server.report import dumps

    kept = store.read()
    if kept is None:
        raise CommandError(f"{root} is not calibrated. To do so: polydraft calibrate {root}")
    answer = {
        **kept.facts,
        **usage(store, root, (loader or RegistryLoader()).is_ready),
        "written": True,
    }
    answer["plot"] = str(store.picture) if store.picture.is_file() else None
    if as_json:
        print(dumps(answer))
    else:
        print_result(console_for(), answer)


def _reset(store: CalibrationStore, as_json: bool) -> None:
    from polydraft.lsp_server.report import CALIBRATE, dumps

    deleted = store.reset()
    if as_json:
        print(dumps({"schema": CALIBRATE, "deleted": deleted}))
    else:
        print(f"{store.folder} is deleted." if deleted else "There was nothing to delete.")
