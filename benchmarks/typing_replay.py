"""What a user who types real code gets to see, and what it costs: keys, drafts, model calls.

A typist writes lines of real files again, key by key and at a human rhythm, over stdio against the
real server. Each key sends `didChange`, takes the unanswered request back and asks for inline
completion, as VS Code does. Two users: one types everything, one takes the next word when the
first draft has it right. A call of the model may answer several keys, so calls are counted from
what the server tells of them (`polydraft/call`), not from the answers.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

from benchmarks.harness import Row, arguments, report
from benchmarks.typing_text import Key, Page, Stretch, gaps, keys_for, stretches
from polydraft.lsp_server.protocol import make_converter

SEED = 7
PACKAGE = "rich"
REACTION_S = 0.25  # what is on display for less is not seen, at human speed
PATIENCE_S = 120
NO_MODEL_CALL, FEW_TOKENS = ">= 50", "<= 8"
_WORD = re.compile(r"[ \t]*(\w+|[^\w\s]+)")


@dataclass(slots=True)
class Stroke:
    """One key (or one taken word) and what came of it; times in seconds of the loop's clock."""

    request_id: int
    characters: int
    asked_at: float
    arrival: bool = False  # asked before the first key: the file is new to the server
    first_right: bool = False  # when the next key came: the first draft's next word was right
    any_right: bool = False
    first_at: float | None = None
    answered_at: float | None = None
    drafts: int = 0

    @property
    def answered(self) -> bool:
        """Whether there was a draft, or word that there is none, before the next key."""
        return self.first_at is not None or self.answered_at is not None


@dataclass(slots=True)
class Typed:
    """What a spell of typing gave: its strokes and the server's calls."""

    strokes: list[Stroke] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)


def next_word(draft: str) -> str:
    """The next word of a draft, with the white space before it; empty behind the last one."""
    match = _WORD.match(draft)
    return match.group() if match else ""


class Typist:
    """One document in an editor, a cursor, and the drafts on display."""

    def __init__(
        self, client: LanguageClient, uri: str, stretch: Stretch, first_id: int = 1000
    ) -> None:
        self.page = stretch.page
        self.typed = Typed()
        self._client = client
        self._uri = uri
        self._stretch = stretch
        self._first_id = first_id  # of the requests; a connection's must differ
        self._version = 1
        self._shown: list[str] = []
        self._shown_at = 0.0
        self._pending: asyncio.Task[None] | None = None
        text = stretch.page.left + stretch.page.right
        item = types.TextDocumentItem(uri, "python", self._version, text)
        client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        self._now = asyncio.get_running_loop().time

    @property
    def shown(self) -> list[str]:
        return self._shown

    @property
    def rest(self) -> str:
        """What is still to be typed; empty while an indentation is being put right."""
        whole = self._stretch.page.left + self._stretch.text
        return whole[len(self.page.left) :] if whole.startswith(self.page.left) else ""

    def right_word(self) -> str:
        """The first draft's next word, if that is what comes."""
        word = next_word(self._shown[0]) if self._shown else ""
        return word if word and self.rest.startswith(word) else ""

    def seen_for(self) -> float:
        return self._now() - self._shown_at

    def press(self, keys: Sequence[Key]) -> None:
        """Press one key, or all those that a taken word stands for."""
        self._judge()
        old, new = self.page, self.page
        for key in keys:
            new = new.press(key)
        self._send_change(old, new)
        self.page = new
        typed = new.left[len(old.left) :] if new.left.startswith(old.left) else None
        left = [each[len(typed) :] for each in self._shown if typed and each.startswith(typed)]
        self._show([each for each in left if each])
        self._ask(max(1, len(new.left) - len(old.left)))

    async def arrive(self) -> None:
        """Ask once before the first key, as on the way there, and wait for the answer."""
        self._ask(0)
        self.typed.strokes[-1].arrival = True
        if self._pending is not None:
            await asyncio.wait_for(self._pending, PATIENCE_S)

    async def stop(self) -> None:
        """Wait for the last answer and close the document."""
        self._judge()
        if self._pending is not None:
            await asyncio.wait_for(self._pending, PATIENCE_S)
        identifier = types.TextDocumentIdentifier(self._uri)
        self._client.text_document_did_close(types.DidCloseTextDocumentParams(identifier))

    def streamed(self, params: Any) -> None:
        """`polydraft/draft`: the first draft of a request whose others are in work."""
        stroke = self.typed.strokes[-1] if self.typed.strokes else None
        if stroke is not None and params["requestId"] == stroke.request_id:
            stroke.first_at = self._now()
            self._show([params["draft"]["text"]])

    def _judge(self) -> None:
        """Note what was on display when the next key came."""
        if not self.typed.strokes:
            return
        stroke, rest = self.typed.strokes[-1], self.rest
        words = [next_word(each) for each in self._shown]
        right = [bool(word) and rest.startswith(word) for word in words]
        stroke.first_right, stroke.any_right = right[:1] == [True], any(right)

    def _show(self, drafts: list[str]) -> None:
        if drafts and drafts[:1] != self._shown[:1]:
            self._shown_at = self._now()
        self._shown = drafts

    def _send_change(self, old: Page, new: Page) -> None:
        start = min(len(old.left), len(new.left)) if new.left != old.left else len(old.left)
        tail = len(self._stretch.page.right)
        text = new.left[start:] + new.right[: len(new.right) - tail]
        end = old.left + old.right[: len(old.right) - tail]
        self._version += 1
        edit = types.TextDocumentContentChangePartial(
            range=types.Range(_position(old.left[:start]), _position(end)), text=text
        )
        document = types.VersionedTextDocumentIdentifier(version=self._version, uri=self._uri)
        params = types.DidChangeTextDocumentParams(document, [edit])
        self._client.text_document_did_change(params)

    def _ask(self, characters: int) -> None:
        older = self.typed.strokes[-1] if self.typed.strokes else None
        if older is not None and older.answered_at is None:
            self._client.cancel_request(types.CancelParams(id=older.request_id))
        request_id = self._first_id + len(self.typed.strokes)
        stroke = Stroke(request_id, characters, self._now())
        self.typed.strokes.append(stroke)
        params = types.InlineCompletionParams(
            context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
            text_document=types.TextDocumentIdentifier(self._uri),
            position=_position(self.page.left),
        )
        answer: Future[Any] = self._client.protocol.send_request(
            types.TEXT_DOCUMENT_INLINE_COMPLETION, params, msg_id=request_id
        )
        self._pending = asyncio.ensure_future(self._take(stroke, self.page, answer))

    async def _take(self, stroke: Stroke, page: Page, answer: Future[Any]) -> None:
        with suppress(JsonRpcException, asyncio.CancelledError):  # the request was taken back
            items = (await asyncio.wrap_future(answer)).items
            if stroke is not self.typed.strokes[-1]:
                return
            stroke.answered_at = self._now()
            stroke.drafts = len(items)
            if items and stroke.first_at is None:
                stroke.first_at = stroke.answered_at
            column = _position(page.left).character
            # A draft that takes indentation back is no way to go on typing.
            blank = not page.left[page.left.rfind("\n") + 1 :].strip()
            here = [each for each in items if not blank or each.range.start.character == column]
            self._show([each.insert_text[column - each.range.start.character :] for each in here])


def _position(before: str) -> types.Position:
    line = before[before.rfind("\n") + 1 :]
    return types.Position(before.count("\n"), len(line.encode("utf-16-le")) // 2)


async def type_through(
    typist: Typist, stretch: Stretch, *, speed: float, seed: int, accept: bool, most: int
) -> None:
    """Write a stretch, at most `most` keys of it; `accept` takes right words as they show."""
    line = stretch.page.left[stretch.page.left.rfind("\n") + 1 :]
    keys = list(keys_for(stretch.text, line))[:most]
    pauses = gaps(keys, speed, seed)
    await typist.arrive()
    at = 0
    while at < len(keys):
        await asyncio.sleep(pauses[at])
        word = typist.right_word() if accept else ""
        taken = 1
        if len(word) > 1 and typist.seen_for() >= REACTION_S / speed:
            length, page = len(typist.page.left) + len(word), typist.page.press(keys[at])
            while len(page.left) < length and at + taken < len(keys):
                page = page.press(keys[at + taken])
                taken += 1
        typist.press(keys[at : at + taken])
        at += taken
    await typist.stop()


def measures(name: str, typed: Sequence[Typed]) -> list[Row]:
    """The figures of one way to type."""
    every = [stroke for each in typed for stroke in each.strokes]
    arrivals = {stroke.request_id for stroke in every if stroke.arrival}
    strokes = [stroke for stroke in every if not stroke.arrival]
    told = [call for each in typed for call in each.calls]
    cold = [call for call in told if call["requestId"] in arrivals]
    calls = [call for call in told if call["requestId"] not in arrivals]
    own = {call["requestId"] for call in calls if call["purpose"] == "answer"}
    quiet = [stroke for stroke in strokes if stroke.request_id not in own]
    done = [call for call in calls if call["purpose"] == "answer" and call["outcome"] == "done"]
    recomputed = [call["recomputedTokens"] for call in done]
    first = [s.first_at - s.asked_at for s in strokes if s.first_at is not None]
    all_ = [s.answered_at - s.asked_at for s in strokes if s.answered_at is not None and s.drafts]
    answered = [stroke for stroke in quiet if stroke.answered]
    keys = len(strokes)

    def share(part: Iterable[object], of: float = keys) -> float:
        return 100 * len(list(part)) / max(1, of)

    def spent(field_: str, **where: str) -> float:
        chosen = (c for c in calls if all(c[key] == value for key, value in where.items()))
        return sum(call[field_] for call in chosen)

    time_, passes = spent("totalMs"), spent("forwardPasses")
    characters = sum(stroke.characters for stroke in strokes)
    begun = [call for call in calls if call["purpose"] == "answer"]
    ahead = [call for call in calls if call["purpose"] != "answer"]
    rows = [
        ("first request in a file, all drafts", _at([c["totalMs"] for c in cold], 50), "ms", ""),
        ("keys", keys, "", ""),
        ("keys answered without a model call", share(answered), "%", NO_MODEL_CALL),
        ("keys that began no model call", share(quiet), "%", ""),
        ("keys answered with drafts", share(s for s in strokes if s.first_at is not None), "%", ""),
        ("keys answered before the next", share(s for s in strokes if s.answered), "%", ""),
        ("model calls per key", len(begun) / max(1, keys), "", ""),
        ("model calls in idle time per key", len(ahead) / max(1, keys), "", ""),
        ("prompt tokens recomputed per call, median", _at(recomputed, 50), "tokens", FEW_TOKENS),
        ("prompt tokens recomputed per call, p95", _at(recomputed, 95), "tokens", ""),
        ("first draft, p50", 1000 * _at(first, 50), "ms", ""),
        ("first draft, p95", 1000 * _at(first, 95), "ms", ""),
        ("all drafts, p50", 1000 * _at(all_, 50), "ms", ""),
        ("all drafts, p95", 1000 * _at(all_, 95), "ms", ""),
        ("first draft of a call, p50", _at([c["firstDraftMs"] for c in done], 50), "ms", ""),
        ("all drafts of a call, p50", _at([c["totalMs"] for c in done], 50), "ms", ""),
        (
            "cancelled work, of all passes",
            100 * spent("forwardPasses", outcome="cancelled") / max(1, passes),
            "%",
            "",
        ),
        (
            "cancelled work, of the engine's time",
            100 * spent("totalMs", outcome="cancelled") / max(1, time_),
            "%",
            "",
        ),
        (
            "idle work, of the engine's time",
            100 * (time_ - spent("totalMs", purpose="answer")) / max(1, time_),
            "%",
            "",
        ),
        (
            "first draft right at the next key",
            share(s for s in strokes if s.first_right),
            "%",
            "",
        ),
        (
            "any draft right at the next key",
            share(s for s in strokes if s.any_right),
            "%",
            "",
        ),
        ("characters per key", characters / max(1, keys), "", ""),
    ]
    return [Row(f"{name}: {measure}", value, unit, target) for measure, value, unit, target in rows]


def _at(values: Sequence[float], percentile: int) -> float:
    """A percentile by nearest rank; 0 without values."""
    ordered = sorted(values)
    rank = -(-percentile * len(ordered) // 100)
    if percentile == 50 and ordered:
        return statistics.median(ordered)
    return ordered[max(0, rank - 1)] if ordered else 0.0


def copy_project(workspace: Path) -> Path:
    """The sources of an installed package, as a project of its own."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit(f"the package {PACKAGE} is not installed: run `make demo` once")
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    return shutil.copytree(Path(spec.origin).parent, workspace / PACKAGE, ignore=ignored)


class Connection:
    """An initialized client of a server process; hands what the server tells to the typist."""

    def __init__(self) -> None:
        self.client = LanguageClient("typist", "1", converter_factory=make_converter)
        self.typist: Typist | None = None
        self.calls: list[dict[str, Any]] = []
        self._next_id = 1000
        self._ready = asyncio.Event()
        self._states: list[dict[str, Any]] = []
        feature = self.client.feature
        feature("polydraft/status")(lambda params: self._status(params))
        feature("polydraft/call")(lambda params: self.calls.append(params))
        feature("polydraft/draft")(lambda params: self._draft(params))
        feature("window/showMessage")(lambda params: print(params.message))
        feature("window/logMessage")(lambda params: None)

    async def begin(self, root: Path) -> None:
        """Initialize and wait for the model."""
        capabilities = types.ClientCapabilities(
            text_document=types.TextDocumentClientCapabilities(
                inline_completion=types.InlineCompletionClientCapabilities()
            )
        )
        options = {"stream": True, "calls": True}
        params = types.InitializeParams(
            capabilities=capabilities, root_uri=root.as_uri(), initialization_options=options
        )
        await self.client.initialize_async(params)
        self.client.initialized(types.InitializedParams())
        await asyncio.wait_for(self._ready.wait(), PATIENCE_S)
        if self._states[-1]["state"] != "ready":
            raise SystemExit(self._states[-1]["message"])

    async def write(
        self, project: Path, stretch: Stretch, *, speed: float, seed: int, accept: bool, most: int
    ) -> Typed:
        """Have a stretch typed; returns what was seen."""
        path = project / stretch.path
        whole = path.read_text(encoding="utf-8")
        path.write_text(stretch.page.left + stretch.page.right, encoding="utf-8")  # no peeping
        self.calls.clear()
        self.typist = Typist(self.client, path.as_uri(), stretch, self._next_id)
        await type_through(self.typist, stretch, speed=speed, seed=seed, accept=accept, most=most)
        await asyncio.sleep(1.0)  # cancelled calls are told when their last pass has ended
        typed, self.typist = self.typist.typed, None
        self._next_id += len(typed.strokes)
        typed.calls = list(self.calls)
        path.write_text(whole, encoding="utf-8")
        return typed

    def _status(self, params: Any) -> None:
        self._states.append(params)
        if params["state"] != "loading":
            self._ready.set()

    def _draft(self, params: Any) -> None:
        if self.typist is not None:
            self.typist.streamed(params)


WAYS = (("human", 1.0, False), ("human, takes words", 1.0, True), ("2x", 2.0, False))


async def replay(quick: bool) -> list[Row]:
    """All ways to type over the same stretches, each on a server of its own."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        project = copy_project(Path(folder))
        lines, count, most = (5, 1, 55) if quick else (7, 6, 1000)
        chosen = stretches(project, lines, count, SEED)
        for name, speed, accept in WAYS:
            connection = Connection()
            await connection.client.start_io(
                sys.executable, "-I", "-m", "polydraft.lsp_server", "serve", "--stdio"
            )
            await connection.begin(Path(folder))
            typed = []
            for seed, stretch in enumerate(chosen):
                typed.append(
                    await connection.write(
                        project, stretch, speed=speed, seed=seed, accept=accept, most=most
                    )
                )
            rows += measures(name, typed)
            await connection.client.shutdown_async(None)
            connection.client.exit(None)
            await connection.client.stop()
    return rows


def main() -> None:
    quick = arguments(__doc__ or "").quick
    report("typing", asyncio.run(replay(quick)), quick)


if __name__ == "__main__":
    main()
