"""A calibration for people: the bar while it lasts, then what was chosen, a table and a plot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from polydraft.lsp_server.calibration import LARGE, RANDOM, SMALL, Row, Target, front
from polydraft.lsp_server.calibration_plot import in_terminal
from polydraft.lsp_server.report import Json
from polydraft.lsp_server.settings import FILE_NAME


@contextmanager
def progress_bar(console: Console, total: int, minutes: float) -> Iterator[Callable[[int], None]]:
    """Gives what is to be told how many points are done; a pipe gets one line."""
    text = f"Measuring both models at up to {total} places, for at most {minutes:g} minutes"
    if not console.is_terminal:
        console.print(f"{text} ...", soft_wrap=True)
        yield lambda done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn())
    bars = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
    task = bars.add_task(escape(text), total=total)
    with bars:
        yield lambda done: bars.update(task, completed=done)


def print_result(console: Console, answer: Json) -> None:
    def say(text: str, style: str = "") -> None:
        console.print(escape(text), soft_wrap=True, style=style)

    rows = [Row(**each) for each in answer["settings"]]
    target = Target(**answer["target"])
    pair = f"{answer['small']['name']} with {answer['large']['name']}"
    say(f"{pair}, {answer['policy']}: {answer['points']} places in {answer['files']} files")
    if rows:
        console.print()
        console.print(_table(rows, answer.get("chosen")))
        console.print()
        if answer["plot"]:
            say(f"plot: {answer['plot']}")
        else:
            console.print(in_terminal(rows, answer.get("chosen")), highlight=False, markup=False)
            say("As a picture it needs matplotlib: pip install 'polydraft[bench]'", "dim")
    if not answer["met"]:
        say(f"No thresholds were chosen: {answer['unmet_because']}.", "bold yellow")
        return
    row = next(row for row in rows if row.name == answer["chosen"])
    sure = answer["intervals"]
    chosen = ", ".join(f"{key} = {value:g}" for key, value in answer["thresholds"].items())
    say(f"target: {target}", "")
    say(f"chosen: {chosen}", "bold green")
    say(
        f"  share of large tokens {row.share:.1%} (95 %: {sure['share']['low']:.1%} to"
        f" {sure['share']['high']:.1%}), quality {row.quality:.3f} ({sure['quality']['low']:.3f} to"
        f" {sure['quality']['high']:.3f}), over the small model alone"
        f" {sure['gain']['low']:+.3f} to {sure['gain']['high']:+.3f}"
    )
    if sure["gain"]["low"] <= 0:
        say("  These points do not show that the large model helps; more of them may.", "yellow")
    if not answer["written"]:
        say("It is not kept, since the run was interrupted.")
    elif answer["used"]:
        say(f"It holds in this workspace from the next start or reload on: {answer['file']}")
    else:
        say(f"It is kept, but not used here: {answer['unused_because']}.", "yellow")
        say(f"  → Set the models and the policy in {FILE_NAME} (docs/calibrate.md).")


def _table(rows: Sequence[Row], chosen: str | None) -> Table:
    """The references and the best settings, not the whole grid."""
    shown = [
        *(row for row in rows if row.name == SMALL),
        *front(rows),
        *(row for row in rows if row.name == chosen and row not in front(rows)),
        *(row for row in rows if row.name.startswith(RANDOM)),
        *(row for row in rows if row.name == LARGE),
    ]
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("setting", no_wrap=True)
    for title in ("large tokens", "quality", "exact", "gap closed", "large asked", "ms"):
        grid.add_column(title, justify="right", no_wrap=True)
    for row in shown:
        mark = "  ← chosen" if row.name == chosen else ""
        grid.add_row(
            f"{row.name}{mark}", f"{row.share:.1%}", f"{row.quality:.3f}", f"{row.exact:.1%}",
            "–" if row.closed is None else f"{row.closed:.0%}", f"{row.asked:.0%}",
            f"{row.ms:.0f}", style="bold" if mark else "",
        )  # fmt: skip
    return grid
