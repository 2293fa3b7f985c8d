"""The command `polydraft`. Each command imports what it needs when it runs, so help is quick."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polydraft.lsp_server.cli_analysers import analysers
from polydraft.lsp_server.cli_calibrate import calibrate
from polydraft.lsp_server.cli_models import models
from polydraft.lsp_server.cli_shared import Json, console_for, load_models, quiet
from polydraft.lsp_server.cli_stats import stats
from polydraft.lsp_server.failures import USAGE, UsageError, error_json, failures

if TYPE_CHECKING:
    from polydraft.completion.types import Draft
    from polydraft.lsp_server.one_shot import Loader, ModelInUse, Options, Watched, Workspace
    from polydraft.lsp_server.place import Cursor

app = typer.Typer(
    name="polydraft",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."
    " POLYDRAFT_CACHE names the directory for models, POLYDRAFT_DEBUG=1 shows tracebacks.",
)
app.add_typer(models, name="models")
app.add_typer(analysers, name="analysers")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"polydraft {version('polydraft')}")
        raise typer.Exit


@app.callback()
def polydraft(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Code completion on your own machine: several drafts from one decoding pass."""


@app.command(
    short_help="Complete a place in a file, in the terminal.  [cyan]polydraft complete a.py:12:5[/]"
)
def complete(
    ctx: typer.Context,
    place: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE:LINE:COL",
            help="The cursor. LINE and COL count from 1, COL in characters (Unicode code points);"
            " one past the last character is the end of the line. FILE - reads standard input.",
        ),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option("-k", "--drafts", min=1, max=16, help="Drafts wanted.", show_default="3"),
    ] = None,
    as_json: Json = False,
    stream: Annotated[
        bool,
        typer.Option("--stream", metavar="", help="Print the first draft as soon as it is there."),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="A known model, a hub id (org/name), a directory or a .gguf file."
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.")
    ] = None,
    large: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A larger model of the same family, which checks and corrects the drafts.",
            show_default="none",
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="When the large model steps in: bild, spec, cascade, ead, small or large"
            " (docs/pair.md).",
            show_default="bild",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Number format on a CPU: auto, w8a16, int8, int8w, int4w, bf16 or f32.",
        ),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, max=512, help="Tokens of a draft at most.", metavar="N")
    ] = None,
    multiline: Annotated[
        bool | None,
        typer.Option(
            "--multiline/--single-line",
            metavar="",
            help="Complete a block, or the rest of the line.",
            show_default="the syntax decides",
        ),
    ] = None,
    drafter: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How drafts are searched: auto, or a method of docs/drafters.md.",
            show_default="auto",
        ),
    ] = None,
    guesser: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What a draft runs ahead through: auto, none, or a way to guess of"
            " docs/drafters.md.",
            show_default="auto",
        ),
    ] = None,
    monitors: Annotated[
        bool,
        typer.Option(
            "--monitors/--no-monitors",
            metavar="",
            help="Whether static analysis watches over the drafts (docs/monitors.md).",
        ),
    ] = True,
    language: Annotated[
        str,
        typer.Option(
            metavar="ID",
            help="Language id, e.g. python.",
            show_default="told by the file's name",
        ),
    ] = "",
    demo: Annotated[
        bool,
        typer.Option("--demo", metavar="", help="Complete the marked place of an example file."),
    ] = False,
) -> None:
    """Complete a place in a file and print the drafts as an editor would show them.

    The workspace is the nearest folder above with a polydraft.toml or a .git.
    Files that are excluded there, or that usually hold secrets, are not read.

    [dim]Examples:[/]

      [cyan]polydraft complete src/main.py:12:5[/]
      [cyan]polydraft complete --json -k 5 src/main.py:12:5[/]
      [cyan]polydraft complete --language python -:3:9 < buffer[/]
    """
    from polydraft.lsp_server.report import COMPLETE

    with failures(COMPLETE if as_json else None):
        from polydraft.lsp_server.one_shot import Options, RegistryLoader, Watched, request_at
        from polydraft.lsp_server.report import (
            completion_event,
            completion_json,
            draft_event,
            dumps,
        )

        options = Options(
            model,
            device,
            weights,
            k,
            max_tokens,
            multiline,
            drafter,
            large,
            policy,
            guesser,
            monitors,
        )
        cursor, workspace = _cursor(place, demo, language, options)
        for problem in workspace.problems:
            print(f"polydraft: {problem}", file=sys.stderr)
        request = request_at(cursor, workspace, options)
        loader = ctx.obj or RegistryLoader()

        def announce(draft: Draft) -> None:
            print(dumps(draft_event(draft), indent=None), flush=True)

        with Watched(cursor, workspace, loader.make_analyser) as watched:
            in_use = _load(loader, workspace)
            if not as_json:
                _complete_in_terminal(cursor, in_use, request, stream, watched)
                return
            answer = in_use.completer.complete(
                request,
                on_draft=announce if stream else None,
                monitoring=watched.monitoring,
            )
        if stream:
            print(dumps(completion_event(cursor.place, in_use, answer), indent=None))
        else:
            print(dumps(completion_json(cursor.place, in_use, answer)))


def _cursor(
    text: str | None, demo: bool, language: str, options: Options
) -> tuple[Cursor, Workspace]:
    """The place to complete and its workspace; the demo and standard input have none."""
    from polydraft.lsp_server.demo import demo_cursor
    from polydraft.lsp_server.one_shot import RegistryLoader, open_workspace, root_of
    from polydraft.lsp_server.place import STDIN, parse_place, read_cursor

    is_ready = RegistryLoader().is_ready
    if demo:
        if text is not None:
            raise UsageError("--demo brings its own file; leave FILE:LINE:COL out.")
        return demo_cursor(), open_workspace(None, options, is_ready)
    if text is None:
        raise UsageError(
            "Name a place to complete, for example: polydraft complete main.py:12:5. Or try"
            " polydraft complete --demo"
        )
    place = parse_place(text)
    root = None if place.file == STDIN else root_of(Path(place.file).expanduser().absolute())
    workspace = open_workspace(root, options, is_ready)
    cursor = read_cursor(place, stdin=sys.stdin.buffer, language=language, refuse=workspace.refuse)
    return cursor, workspace


def _load(loader: Loader, workspace: Workspace) -> ModelInUse:
    loaded = load_models(loader, workspace.settings)
    if len(loaded) == 1:
        return loaded[0]
    completer = loader.pair(loaded[0], loaded[1], workspace.settings.models.switching)
    return replace(
        loaded[0],
        completer=completer,
        load_s=sum(each.load_s for each in loaded),
        large=loaded[1],
    )


def _complete_in_terminal(
    cursor: Cursor, model: ModelInUse, request: Any, stream: bool, watched: Watched
) -> None:
    from polydraft.lsp_server import render

    console = console_for()
    page = render.page_at(cursor)
    streamed: list[Draft] = []
    render.print_title(console, cursor, model)

    def announce(draft: Draft) -> None:
        streamed.append(draft)
        render.print_draft(console, page, draft, "first")

    answer = model.completer.complete(
        request, on_draft=announce if stream else None, monitoring=watched.monitoring
    )
    render.print_completion(console, page, answer, streamed=streamed[0] if streamed else None)
    render.print_stats(console, model, answer)


@app.command(short_help="Run the language server for an editor.  [cyan]polydraft serve --stdio[/]")
def serve(
    stdio: Annotated[
        bool,
        typer.Option(
            "--stdio", metavar="", help="Serve one client over the standard streams (default)."
        ),
    ] = False,
    tcp: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Listen on TCP; this machine only.")
    ] = None,
    ws: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Listen for websockets.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with the token that websocket clients must show; else the environment"
            " variable POLYDRAFT_TOKEN.",
        ),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Let in web pages of this origin (repeatable)."),
    ] = None,
    log_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Log there, not to standard error.")
    ] = None,
    log_level: Annotated[
        str, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")
    ] = "warning",
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Use this model, whatever the settings say."),
    ] = None,
) -> None:
    """Run the language server.

    [dim]Examples:[/]

      [cyan]polydraft serve[/]                        what editors start
      [cyan]polydraft serve --tcp 127.0.0.1:8765[/]   several editors, one model in memory
      [cyan]polydraft serve --ws 127.0.0.1:8766 --token-file ~/.polydraft-token[/]
    """
    with failures():
        from polydraft.lsp_server import serving
        from polydraft.lsp_server.loading import quiet_libraries

        if sum((stdio, tcp is not None, ws is not None)) > 1:
            raise UsageError("Choose one of --stdio, --tcp and --ws.")
        if ws is None and (token_file is not None or origin):
            raise UsageError("--token-file and --origin are for --ws.")
        if log_level.lower() not in serving.LOG_LEVELS:
            raise UsageError(f"--log-level is one of {', '.join(serving.LOG_LEVELS)}.")
        tcp_address = None if tcp is None else serving.parse_address(tcp, "--tcp")
        ws_address = None if ws is None else serving.parse_address(ws, "--ws")
        token = None if ws is None else serving.read_token(token_file)
        serving.start_log(log_file, log_level.lower())
        quiet_libraries()
        code = serving.serve(
            tcp=tcp_address,
            websocket=ws_address,
            token=token,
            origins=origin or (),
            model=model,
        )
        raise typer.Exit(code)


app.command(
    "calibrate",
    short_help="Choose a pair's thresholds by your own files.  [cyan]polydraft calibrate[/]",
)(calibrate)


app.command(
    "stats", short_help="What became of the drafts, if you keep count.  [cyan]polydraft stats[/]"
)(stats)


@app.command(short_help="What runs here, and what to do about problems.  [cyan]polydraft doctor[/]")
def doctor(as_json: Json = False) -> None:
    """Say what completion would run on: device, memory, kernels, cache, models, settings.

    Exit code 1 if something prevents completion. Measures the processor's kernels once (two
    seconds) and uses no network.
    """
    from polydraft.lsp_server import report

    with failures(report.DOCTOR if as_json else None):
        quiet()
        from polydraft.lsp_server.doctor import examine
        from polydraft.lsp_server.doctor_report import print_diagnosis, to_json

        found = examine(Path.cwd())
        if as_json:
            print(report.dumps(to_json(found)))
        else:
            print_diagnosis(console_for(), found)
        raise typer.Exit(0 if found.usable else 1)


@app.command(short_help="The JSON Schema of polydraft.toml.  [cyan]polydraft schema[/]")
def schema() -> None:
    """Print the JSON Schema of polydraft.toml, for editors that check and complete TOML."""
    from polydraft.lsp_server import report, settings_schema

    print(report.dumps(settings_schema.schema()))


def run(arguments: Sequence[str], loader: Loader | None = None) -> int:
    """Run a command line; returns the exit code. `loader` replaces the registry and the cache."""
    from polydraft.lsp_server.report import schema_of

    # A place in standard input begins like an option; behind "--" it is none.
    places = [argument for argument in arguments if re.fullmatch(r"-:\d+:\d+", argument)]
    if places and "--" not in arguments:
        arguments = [each for each in arguments if each not in places] + ["--", *places]
    schema = schema_of(arguments)
    usage_error: Any = typer.BadParameter.__mro__[1]  # typer does not name it in public
    try:
        code = app(
            args=list(arguments), prog_name="polydraft", obj=loader, standalone_mode=schema is None
        )
    except SystemExit as error:
        code = error.code
    except usage_error as error:
        if schema is None:
            raise
        print(error_json(schema, error.format_message()))
        return USAGE
    return code if isinstance(code, int) else 0


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that lacks a character shows "?"
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))
