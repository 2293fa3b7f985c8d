"""What `polydraft analysers` finds, tries and prints."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rich.console import Console
from rich.table import Table
from rich.text import Text

from polydraft.lsp_server.report import ANALYSERS
from polydraft.monitors.analysers.catalogue import SPECS, Spec, create, program_of, spec_of
from polydraft.monitors.analysers.locate import workspace_python
from polydraft.monitors.analysers.ready import once_ready
from polydraft.monitors.analysis import (
    Analyser,
    AnalyserError,
    AnalyserSettings,
    Buffer,
    Question,
)

_FIRST = 60.0  # seconds; servers of some languages read a standard library first

# Language id -> a file's name and text; the names asked for stand behind its last operator.
SAMPLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "python": ("sample.py", "class Point:\n    x = 1\n\nPoint.|\n"),
        "typescript": ("sample.ts", "class Point { x = 1 }\nnew Point().|\n"),
        "c": ("sample.c", "struct Point { int x; };\nint f(struct Point p) { return p.| }\n"),
        "go": ("sample.go", "package main\ntype Point struct { x int }\nfunc f(p Point) { p.| }\n"),
        "rust": ("src/main.rs", "struct Point { x: i32 }\nfn f(p: Point) { p.| }\nfn main() {}\n"),
        "java": ("Sample.java", "class Sample { int x; void f() { this.| } }\n"),
    }
)


@dataclass(frozen=True, slots=True)
class Found:
    """Where an analyser's program is; "" if it needs none of its own, None if it is not there."""

    spec: Spec
    program: str | None


def here() -> AnalyserSettings:
    """The folder that the user stands in, which counts as trusted: nothing is run by looking."""
    root = Path.cwd()
    return AnalyserSettings(str(root), workspace_python(root, trusted=True), trusted=True)


def found(settings: AnalyserSettings) -> list[Found]:
    return [Found(spec, program_of(spec, settings)) for spec in SPECS]


def list_json(settings: AnalyserSettings) -> dict[str, object]:
    return {
        "schema": ANALYSERS,
        "analysers": [
            {
                "name": each.spec.name,
                "languages": list(each.spec.languages),
                "found": each.program is not None,
                "program": each.program or None,
                "runs_untrusted": each.spec.safe,
                "how_to_get": _how(each.spec),
            }
            for each in found(settings)
        ],
    }


def print_list(console: Console, settings: AnalyserSettings) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("analyser", "languages", "state"):
        table.add_column(column, overflow="fold")
    for each in found(settings):
        state = Text("not there: " + _how(each.spec), style="yellow")
        if each.program is not None:
            state = Text(each.program or "comes with polydraft", style="green")
        table.add_row(each.spec.name, ", ".join(each.spec.languages), state)
    console.print(table)
    console.print(
        "\nThe first of a language that is there is used; the setting [bold]analysers[/] chooses"
        " another. See docs/monitors.md."
    )


@dataclass(frozen=True, slots=True)
class Check:
    """What an analyser said of a tiny file; milliseconds of its start and of a second question."""

    names: int
    grade: str
    start_ms: float
    again_ms: float


def check(name: str, make: Callable[[str, AnalyserSettings], Analyser] = create) -> Check:
    """Start an analyser and have it answer; raises `AnalyserError` if it cannot."""
    language = next(each for each in spec_of(name).languages if each in SAMPLES)
    file, marked = SAMPLES[language]
    before, _, after = marked.partition("|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(before + after, encoding="utf-8")
        _project(Path(folder), language)
        # The sample is ours; nothing of the folder that the user stands in is run.
        analyser = make(name, AnalyserSettings(folder, trusted=True))
        question = Question(Buffer(str(path), language, before + after), len(before))
        try:
            started = time.perf_counter()
            answer = once_ready(lambda: analyser.names(question, _FIRST))
            start = time.perf_counter() - started
            started = time.perf_counter()
            analyser.names(question, _FIRST)
            again = time.perf_counter() - started
        finally:
            analyser.close()
    if "x" not in {each.text for each in answer.names}:
        raise AnalyserError(f"{name} runs, but did not find the member x of its sample file.")
    return Check(len(answer.names), answer.grade.value, 1000 * start, 1000 * again)


def _project(folder: Path, language: str) -> None:
    """What a server needs to take a folder for a project."""
    files = {
        "typescript": ("tsconfig.json", "{}\n"),
        "go": ("go.mod", "module sample\n\ngo 1.20\n"),
        "rust": ("Cargo.toml", '[package]\nname = "sample"\nversion = "0.1.0"\n'),
    }
    if language in files:
        name, text = files[language]
        (folder / name).write_text(text, encoding="utf-8")


def _how(spec: Spec) -> str:
    return f"polydraft analysers install {spec.name}" if spec.package else spec.how_to_get
