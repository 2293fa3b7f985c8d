"""What VS Code and its client add between a key and ghost text, to what the server takes.

A real VS Code in a headless browser, driven at a human rhythm. From the key to the frame that shows
ghost text, three things pass: VS Code's own delays (it waits 50 ms after a key, and paints), the
server's answer, and what the client adds. The first is measured with an extension that answers at
once with a constant, the second is what the client tells in its status bar item.
"""

from __future__ import annotations

import json
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import Row, arguments, report
from tests.editors.toolchain import Toolchain
from tests.editors.vscode.workbench import (
    GHOST,
    CodeServer,
    Installed,
    Workbench,
    browser_of,
    workbench,
)

TARGET_MS = 30
PLACES = (
    ("    total = ", "sum(values)"),
    ("    if not ", "values"),
    ("    for value in ", "values:"),
    ("    largest = max", "(values)"),
    ("    return ", "total"),
)
PAUSES = (0.05, 0.6)  # before the last key: the model is asked anew, or has drafted ahead
FILE = '"""Numbers."""\n\n\ndef summarise(values: list[float]) -> float:\n    """The sum."""\n'
PACKAGE = {
    "name": "constant",
    "publisher": "polydraft",
    "version": "0.0.1",
    "engines": {"vscode": "^1.91.0"},
    "main": "./main.js",
    "activationEvents": ["onStartupFinished"],
}
CONSTANT = """
const vscode = require('vscode');
exports.activate = () => vscode.languages.registerInlineCompletionItemProvider('*', {
  provideInlineCompletionItems: (_, at) =>
    [new vscode.InlineCompletionItem('constant', new vscode.Range(at, at))],
});
"""
# Notes, frame by frame, what ghost text is shown, and when the last key went down.
OBSERVER = """
(selector) => {
  const seen = { key: 0, frames: [] };
  window.seen = seen;
  addEventListener('keydown', () => { seen.key = performance.now(); seen.frames = []; }, true);
  const look = () => {
    const text = [...document.querySelectorAll(selector)].map((each) => each.textContent).join('');
    const last = seen.frames.at(-1);
    if (!last || last[1] !== text) seen.frames.push([performance.now(), text]);
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}
"""


@dataclass(frozen=True)
class Sample:
    """`shown_ms` from the key to ghost text; `answer_ms` of that is the server's; `gaps` is how
    often ghost text was gone again before it had settled, `changes` how often it was another."""

    shown_ms: float
    answer_ms: float
    gaps: int
    changes: int


def main() -> None:
    options = arguments(__doc__ or "")
    rounds = 2 if options.quick else 8
    installed = Installed.of(Toolchain(install=True))
    with tempfile.TemporaryDirectory() as directory:
        with window(installed, Path(directory) / "constant", constant=True) as code:
            floor = [sample for _ in range(rounds) for sample in typed(code, settles=0.3)]
        with window(installed, Path(directory) / "ours") as code:
            code.until_ready()
            ours = [sample for at in range(rounds) for sample in typed(code, pause=PAUSES[at % 2])]
            gaps = list(along(code, 8))
    bare = statistics.median(sample.shown_ms for sample in floor)
    added = [sample.shown_ms - sample.answer_ms - bare for sample in ours]
    rows = [
        Row("keys that got ghost text", len(ours), "keys"),
        Row("key to ghost text, an extension that answers at once, median", bare, "ms"),
        Row("key to ghost text, median", statistics.median(s.shown_ms for s in ours), "ms"),
        Row(
            "the server's first draft, as the client sees it, median",
            statistics.median(s.answer_ms for s in ours),
            "ms",
        ),
        Row("added by the client, median", statistics.median(added), "ms", f"<= {TARGET_MS}"),
        Row("added by the client, 90th percentile", sorted(added)[int(0.9 * len(added))], "ms"),
        Row(
            "ghost text gone again before it settled",
            sum(s.gaps for s in ours) / len(ours),
            "times a key",
            "<= 0",
        ),
        Row(
            "ghost text replaced by another",
            sum(s.changes for s in ours) / len(ours),
            "times a key",
        ),
    ]
    told = "ghost text gone while a draft's own text is typed"
    rows.append(Row(told, sum(gaps) / len(gaps), "times a key", "<= 0"))
    report("vscode", rows, options.quick)


def along(code: Workbench, keys: int) -> Iterator[int]:
    """Type a draft's own text; for each key, how often ghost text was gone in between."""
    code.press("Control+KeyA")
    code.page.keyboard.insert_text(FILE)
    code.type("    return ")
    code.until_ghost()
    for key in code.settle()[:keys]:
        code.type(key)
        time.sleep(0.3)
        frames = code.page.evaluate("window.seen")["frames"]
        yield [text for _, text in frames].count("")


def typed(code: Workbench, pause: float = PAUSES[1], settles: float = 2.5) -> Iterator[Sample]:
    """Write a function again; a sample for the last key of each place."""
    code.press("Control+KeyA")
    code.page.keyboard.insert_text(FILE)
    for begun, rest in PLACES:
        code.type(begun[:-1], 80)
        time.sleep(pause)
        code.press("Escape")
        time.sleep(0.2)
        code.type(begun[-1])
        try:
            code.until_ghost()
        except AssertionError:
            continue
        time.sleep(settles)
        if sample := look(code):
            yield sample
        code.press("Escape")
        code.page.keyboard.insert_text(rest)
        code.press("Enter")
        code.press("Home")


def look(code: Workbench) -> Sample | None:
    """What the last key brought; None if nothing, or if ghost text was there before."""
    seen: dict[str, Any] = code.page.evaluate("window.seen")
    shown = [(at - seen["key"], text) for at, text in seen["frames"]]
    first = next((at for at, (_, text) in enumerate(shown) if text), None)
    if not first:
        return None
    later = [text for _, text in shown[first:]]
    texts = [text for text in later if text]
    told = re.search(r"first draft took (\d+) ms", code.status_told)
    return Sample(
        shown[first][0],
        float(told[1]) if told else 0.0,
        later.count(""),
        sum(a != b for a, b in zip(texts, texts[1:], strict=False)),
    )


@contextmanager
def window(installed: Installed, home: Path, constant: bool = False) -> Iterator[Workbench]:
    folder = home / "folder"
    folder.mkdir(parents=True)
    (folder / "numbers.py").write_text(FILE)
    server = CodeServer.at(home, installed)
    try:
        if constant:
            extension = home / "extensions" / "polydraft.constant-0.0.1"
            extension.mkdir(parents=True)
            (extension / "package.json").write_text(json.dumps(PACKAGE))
            (extension / "main.js").write_text(CONSTANT)
        server.start(with_extension=not constant)
        server.set(editor__quickSuggestions=False, editor__autoIndent="none")
        with browser_of(installed.chromium) as browser, workbench(browser, server, folder) as code:
            code.open("numbers.py")
            code.page.evaluate(OBSERVER, GHOST)
            yield code
    finally:
        server.stop()


if __name__ == "__main__":
    main()
