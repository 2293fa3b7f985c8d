"""Draw the picture of ghost text in the README: a real run of `polydraft complete --demo`.

python docs/make_picture.py [--model NAME]     writes docs/ghost-text.svg
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from polydraft.lsp_server import render
from polydraft.lsp_server.demo import demo_cursor
from polydraft.lsp_server.loading import LoadingDisplay, quiet_libraries
from polydraft.lsp_server.one_shot import Options, RegistryLoader, open_workspace, request_at

TARGET = Path(__file__).with_name("ghost-text.svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a model other than the default one")
    quiet_libraries()
    loader = RegistryLoader()
    options = Options(model=parser.parse_args().model)
    workspace = open_workspace(None, options, loader.is_ready)
    wanted = workspace.settings.model_settings
    with LoadingDisplay(Console(stderr=True), wanted.name) as display:
        model = loader.load(wanted, display.report)

    cursor = demo_cursor()
    page = render.page_at(cursor)
    request = request_at(cursor, workspace, options)
    # The picture shows no times: those are the machine's, not the program's.
    answer = model.completer.complete(request)
    console = Console(record=True, width=88, file=io.StringIO(), force_terminal=True)
    render.print_title(console, cursor, model)
    render.print_completion(console, page, answer)
    console.save_svg(str(TARGET), title="polydraft complete --demo", theme=MONOKAI)
    print(f"{TARGET}: {len(answer.drafts)} drafts", file=sys.stderr)


if __name__ == "__main__":
    main()
