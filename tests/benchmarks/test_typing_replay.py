from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.typing_replay import Connection, Stroke, Typed, measures, next_word
from benchmarks.typing_text import BEFORE_LINE, Key, Page, Stretch, gaps, keys_for, stretches
from polydraft.completion.types import Request
from polydraft.lsp_server.server import create_server
from tests.fakes import FakeCompleter, FakeProvider
from tests.lsp_server.harness import serving, shared

TEXT = 'total = sum(x for x in xs)\n    if total > 0:\n        return "a"\n    print("b")'
BEFORE, BEHIND = "def f(xs):\n    ", "\n\n\ndef g():\n    pass\n"


def written(text: str, indent: str, behind: str = "") -> Page:
    page = Page(indent, behind)
    for key in keys_for(text, indent):
        page = page.press(key)
    return page


def test_the_keys_write_the_text_and_leave_nothing_behind() -> None:
    assert written(TEXT, "    ", BEHIND) == Page("    " + TEXT, BEHIND)


@given(st.lists(st.text("ab =.:()[]'\"#", max_size=12), min_size=1, max_size=4), st.integers(0, 2))
def test_whatever_the_lines_the_keys_write_them(lines: list[str], depth: int) -> None:
    indent = " " * 4 * depth
    rest = ["    " * (at % 3) + line.strip() for at, line in enumerate(lines[1:])]
    text = "\n".join(
        ["a" + lines[0].strip(), *(line if line.strip() else "" for line in rest), "x"]
    )
    assert written(text, indent) == Page(indent + text, "")


def test_brackets_are_closed_at_once_and_typed_over() -> None:
    assert list(keys_for("f(a)")) == [
        Key("f", gap=BEFORE_LINE),
        Key("(", behind=")"),
        Key("a", gap=1.5),
        Key(")", over=1),
    ]


def test_enter_indents_as_an_editor_does() -> None:
    keys = list(keys_for("if a:\n    b\nc"))
    assert [key.text for key in keys if key.text[:1] == "\n"] == ["\n    ", "\n    "]
    assert [key.delete for key in keys if key.delete] == [4]


def test_the_rhythm_is_the_same_each_time_and_twice_as_fast_at_twice_the_speed() -> None:
    keys = list(keys_for(TEXT))
    once, twice = gaps(keys, 1, seed=3), gaps(keys, 2, seed=3)
    assert once == gaps(keys, 1, seed=3) != gaps(keys, 1, seed=4)
    assert once == pytest.approx([2 * gap for gap in twice])


def test_stretches_are_cut_out_of_their_files(tmp_path: Path) -> None:
    body = "\n".join(f"    line_{i} = {i}" for i in range(40))
    text = "\n" * 30 + f"def f():\n{body}\n" + "\n" * 60
    (tmp_path / "a.py").write_text(text)
    (found,) = stretches(tmp_path, lines=5, count=1, seed=0)
    assert found.page.left + found.text + found.page.right == text
    assert found.text.count("\n") == 4
    with pytest.raises(SystemExit, match="only 1 stretches"):
        stretches(tmp_path, lines=5, count=2, seed=0)


def test_a_word_is_taken_with_the_space_before_it() -> None:
    rows = [("foo(a)", "foo"), (" = b", " ="), ("", ""), (").x", ")."), ("\n  x", "")]
    assert [next_word(draft) for draft, _ in rows] == [word for _, word in rows]


def oracle(request: Request) -> list[str]:
    """The rest of the line, and two drafts that are wrong at once and after a while."""
    truth = BEFORE + TEXT
    rest = truth[len(request.prefix) :].split("\n")[0] if truth.startswith(request.prefix) else ""
    return [rest, rest[:3] + "?!", "§"] if rest else []


async def replayed(
    tmp_path: Path, completer: FakeCompleter, *, accept: bool = False
) -> tuple[Typed, str]:
    path = tmp_path / "w" / "a.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(BEFORE + TEXT + BEHIND)
    stretch = Stretch(Path("a.py"), Page(BEFORE, BEHIND), TEXT)
    provider = FakeProvider(completer)
    async with (
        shared(provider) as services,
        serving(make_server=partial(create_server, services)) as port,
    ):
        connection = Connection()
        await connection.client.start_tcp("127.0.0.1", port)
        await connection.begin(tmp_path)
        how = {"speed": 20.0, "seed": 0, "accept": accept, "most": 1000}
        typed = await connection.write(path.parent, stretch, **how)  # type: ignore[arg-type]
        text = "".join(completer.requests[-1].prefix)
        await connection.client.shutdown_async(None)
        connection.client.exit(None)
        await connection.client.stop()
    assert path.read_text() == BEFORE + TEXT + BEHIND
    return typed, text


async def test_an_always_right_model_is_asked_about_once_a_line(tmp_path: Path) -> None:
    typed, _ = await replayed(tmp_path, FakeCompleter(write=oracle))
    keys = list(keys_for(TEXT, "    "))
    assert len(typed.strokes) == 1 + len(keys)  # with the arrival
    assert sum(stroke.characters for stroke in typed.strokes) >= len(TEXT)
    assert len(typed.calls) < len(keys) / 2
    shares = {row.measure: row.value for row in measures("x", [typed])}
    assert shares["x: keys that began no model call"] > 50
    assert shares["x: any draft right at the next key"] > 0


async def test_who_takes_right_words_presses_fewer_keys(tmp_path: Path) -> None:
    typed, _ = await replayed(tmp_path, FakeCompleter(write=oracle), accept=True)
    assert len(typed.strokes) < len(list(keys_for(TEXT, "    ")))
    assert any(stroke.characters > 1 for stroke in typed.strokes)


def test_the_figures_are_counted_as_they_are_named() -> None:
    def stroke(number: int, **more: object) -> Stroke:
        return Stroke(number, 1, 10.0, **more)  # type: ignore[arg-type]

    def call(number: int | None, purpose: str, outcome: str, **more: float) -> dict[str, object]:
        costs = {"recomputedTokens": 0, "forwardPasses": 0, "firstDraftMs": 0, "totalMs": 0}
        return {"requestId": number, "purpose": purpose, "outcome": outcome, **costs, **more}

    typed = Typed(
        [
            stroke(1, first_at=10.2, answered_at=10.4, drafts=3, first_right=True, any_right=True),
            stroke(2, first_at=10.0, answered_at=10.0, drafts=1, any_right=True),
            stroke(3, answered_at=10.0),
            stroke(4),
        ],
        [
            call(1, "answer", "done", recomputedTokens=4, forwardPasses=6, totalMs=60),
            call(4, "answer", "cancelled", forwardPasses=2, totalMs=20),
            call(None, "ahead", "done", forwardPasses=2, totalMs=20, recomputedTokens=9),
        ],
    )
    rows = {row.measure.removeprefix("x: "): row.value for row in measures("x", [typed])}
    assert rows["keys answered without a model call"] == 50
    assert rows["keys that began no model call"] == 50
    assert rows["keys answered with drafts"] == 50
    assert rows["keys answered before the next"] == 75
    assert rows["model calls per key"] == 0.5
    assert rows["model calls in idle time per key"] == 0.25
    assert rows["prompt tokens recomputed per call, median"] == 4
    assert rows["first draft, p50"] == pytest.approx(100)
    assert rows["all drafts, p95"] == pytest.approx(400)
    assert rows["cancelled work, of all passes"] == 20
    assert rows["idle work, of the engine's time"] == 20
    assert rows["first draft right at the next key"] == 25
    assert rows["any draft right at the next key"] == 50
