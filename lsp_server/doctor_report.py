"""A diagnosis as JSON and as text for people."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from polydraft.lsp_server.diagnosis import Diagnosis
from polydraft.lsp_server.models_command import size
from polydraft.lsp_server.report import DOCTOR, Json
from polydraft.lsp_server.settings import FILE_NAME


def to_json(found: Diagnosis) -> Json:
    """`polydraft doctor --json`."""
    problems = [
        {"message": problem.what, "do": problem.do, "fatal": problem.fatal}
        for problem in found.problems
    ]
    return {"schema": DOCTOR, "usable": found.usable, **found.facts, "problems": problems}


def print_diagnosis(console: Console, found: Diagnosis) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in _rows(found.facts):
        grid.add_row(label, Text(value))
    console.print(grid)
    if found.facts.get("kernels", {}).get("formats"):
        console.print()
        console.print(_kernel_table(found.facts["kernels"]))
    for name, passes in found.facts.get("passes", {}).items():
        console.print()
        console.print(_pass_lines(name, passes), soft_wrap=True)
    console.print()
    for problem in found.problems:
        mark = Text("✗ ", "bold red") if problem.fatal else Text("! ", "bold yellow")
        console.print(Text.assemble(mark, problem.what), soft_wrap=True)
        console.print(Text.assemble("  → ", problem.do), soft_wrap=True)
    verdict = Text("polydraft can complete here.", "bold green")
    if not found.usable:
        verdict = Text("polydraft cannot complete here before this (✗) is put right.", "bold red")
    console.print(verdict, soft_wrap=True)


def _rows(facts: Mapping[str, Json]) -> list[tuple[str, str]]:
    system, compute, cache = facts["system"], facts["compute"], facts["cache"]
    total, free = system["memory_bytes"], system["memory_free_bytes"]
    held = "unknown" if total is None else f"{size(total)}"
    rows = [
        ("polydraft", f"{system['polydraft']}, Python {system['python']}, {system['platform']}"),
        ("device", str(compute["device"] or "none")),
        ("processor", compute["processor"]),
        ("instructions", " ".join(compute["instructions"]) or "unknown"),
        ("memory", held if free is None else f"{held}, {size(free)} free"),
    ]
    for number, gpu in enumerate(compute["gpus"]):
        memory_of = f"{size(gpu['memory_bytes'])}, {size(gpu['memory_free_bytes'])} free"
        rows.append((f"gpu {number}", f"{gpu['name']}, {memory_of}"))
    build = f"{compute['torch']}, uses {compute['torch_instructions']}"
    rows.append(("torch", f"{build}, {compute['threads']} threads"))
    rows.append(("cache", f"{cache['path']}, {size(cache['free_bytes'])} free on its disk"))
    for name, model in facts.get("models", {}).items():
        disk = f", {size(model['bytes_on_disk'])}" if model["bytes_on_disk"] else ""
        rows.append(("model", f"{name}: {model['state']}{disk}{' (used)' * model['used']}"))
    rows += [_memory_row(device, memory) for device, memory in facts.get("memory", {}).items()]
    if pair := facts.get("pair"):
        rows.append(("pair", _pair(pair)))
    sources, settings = facts["sources"], facts["settings"]
    offline = "not asked (HF_HUB_OFFLINE is set)" if sources["hub_offline"] else sources["hub"]
    rows.append(("hub", offline))
    where = settings["file"] or (
        f"no {FILE_NAME} in {settings['workspace']}: the defaults"
        if settings["workspace"]
        else "the defaults (no workspace here)"
    )
    rows.append(("settings", where))
    if settings["calibration"]:
        used = "used" if settings["calibration_used"] else "not used: polydraft calibrate --show"
        rows.append(("calibration", f"{settings['calibration']}, {used}"))
    return rows


def _memory_row(device: str, memory: Json) -> tuple[str, str]:
    """What the models in use need on a device; of each what it holds once it is loaded."""
    models = [
        f"{name} {size(model['weights_bytes'] + model['cache_bytes'])} ({model['weights']})"
        for name, model in memory["models"].items()
    ]
    needed, free = memory["needed_bytes"], memory["available_bytes"]
    most = "unknown" if needed is None else f"{size(needed)} at most"
    of = "" if free is None else f", {size(free)} available"
    return f"needed on {device}", f"{most}{of}: {', '.join(models) or 'sizes unknown'}"


def _pair(pair: Json) -> str:
    agree = {True: "tokenizers agree", False: "tokenizers DIFFER", None: "tokenizers not compared"}
    steps = "steps not measured yet: load both once"
    if pair["step_ratio"] is not None:
        steps = (
            f"a step takes {pair['step_ms_small']:.1f} and {pair['step_ms_large']:.1f} ms,"
            f" {pair['step_ratio']:.1f} times as long"
        )
    return f"{pair['small']} with {pair['large']}: {agree[pair['same_tokenizer']]}; {steps}"


def _pass_lines(name: str, passes: Mapping[str, Json]) -> Text:
    """One model's measured passes and the methods chosen by them."""
    times = ", ".join(f"{tokens}: {ms:.1f}" for tokens, ms in passes["ms"].items())
    lines = [f"{name}: milliseconds of a pass, by new tokens: {times}"]
    lines += [
        f"  {k} draft{'s' * (k != '1')}: {plan['method']} ({plan['reason']})"
        for k, plan in passes["methods"].items()
    ]
    return Text("\n".join(lines))


def _kernel_table(kernels: Json) -> Table:
    chosen, threads = kernels["chosen"], kernels["threads"]
    table = Table(
        title="Milliseconds of a pass through a small sample model in each number format, timed on"
        f" one thread{f' and reckoned for {threads}' * (threads > 1)}",
        title_justify="left",
        title_style="",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    table.add_column("format", no_wrap=True)
    for rows in ("1 row", "3 rows", "64 rows"):
        table.add_column(rows, justify="right", no_wrap=True)
    table.add_column("")
    for name, cost in kernels["formats"].items():
        remark = "" if cost["accurate"] else "loses accuracy, never chosen by itself"
        table.add_row(
            Text(name, style="bold green" if name == chosen else ""),
            *(f"{cost[key]:.2f}" for key in ("ms_1_row", "ms_3_rows", "ms_64_rows")),
            "chosen" if name == chosen else Text(remark, style="dim"),
        )
    return table
