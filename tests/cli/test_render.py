from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from polydraft.completion.types import (
    Completion,
    Draft,
    Origin,
    Part,
    Switch,
    SwitchEvent,
)
from polydraft.lsp_server.documents import Document
from polydraft.lsp_server.place import Cursor, Place
from polydraft.lsp_server.render import draft_lines, page_at, print_completion, provenance
from tests.fakes import draft


def cursor_in(text: str, offset: int) -> Cursor:
    before = text[:offset]
    line = before.count("\n") + 1
    column = offset - before.rfind("\n")
    document = Document("file:///a.py", text, 0, "python", Path("a.py"))
    return Cursor(Place("a.py", line, column), document, offset)


def drawn(text: str, offset: int, wanted: Draft, *, marks: bool = False) -> list[str]:
    page = page_at(cursor_in(text, offset))
    return [line.plain for _, line in draft_lines(page, wanted, marks=marks)]


def shown(text: str, offset: int, *drafts: Draft, terminal: bool, width: int = 80) -> str:
    out = io.StringIO()
    console = Console(
        file=out,
        force_terminal=terminal,
        color_system="truecolor" if terminal else None,
        width=width,
    )
    print_completion(console, page_at(cursor_in(text, offset)), Completion(drafts))
    return out.getvalue()


_CODE = st.text(st.sampled_from("ab ()\"'#:\t😀é"), max_size=12)


@given(lines=st.lists(_CODE, min_size=1, max_size=12), data=st.data())
def test_the_shown_lines_are_those_of_the_file(lines: list[str], data: st.DataObject) -> None:
    text = "\n".join(lines)
    offset = data.draw(st.integers(0, len(text)))
    page = page_at(cursor_in(text, offset))
    assert [line.plain for line in page.lines] == lines[
        page.number - 1 : page.number - 1 + len(page.lines)
    ]
    before = text[:offset]
    assert page.lines[page.row].plain[: page.column] == before[before.rfind("\n") + 1 :]


@given(lines=st.lists(_CODE, min_size=1, max_size=6), ghost=_CODE, data=st.data())
def test_without_marks_the_page_reads_as_the_accepted_draft_would(
    lines: list[str], ghost: str, data: st.DataObject
) -> None:
    text = "\n".join(lines)
    offset = data.draw(st.integers(0, len(text)))
    page = page_at(cursor_in(text, offset))
    accepted = (text[:offset] + ghost + text[offset:]).split("\n")
    assert (
        drawn(text, offset, draft(ghost))
        == accepted[page.number - 1 : page.number - 1 + len(page.lines)]
    )


def test_lines_that_a_draft_adds_have_no_number() -> None:
    page = page_at(cursor_in("a\nb\n", 1))
    lines = draft_lines(page, draft("1\n2\n3"), marks=True)
    assert [(number, line.plain) for number, line in lines] == [
        (1, "a‹1›"),
        (None, "‹2›"),
        (None, "‹3›"),
        (2, "b"),
    ]


def test_the_rest_of_the_line_follows_the_draft() -> None:
    assert drawn("f(x)", 2, draft("a,\n  b, ")) == ["f(a,", "  b, x)"]


def test_ghost_text_is_dim_and_italic_and_what_it_replaces_struck_through() -> None:
    out = shown("f(x)", 2, draft("y)", replace=2), terminal=True)
    assert "\x1b[2;3my)" in out
    assert re.search(r"\x1b\[9;31[;\d]*mx\)", out)
    assert "‹" not in out


def test_without_colours_there_are_no_escape_codes() -> None:
    out = shown("f(x)", 2, draft("y)", replace=2), terminal=False)
    assert "\x1b" not in out
    assert "f(‹y)›[-x)-]" in out


def test_no_text_is_lost_in_a_narrow_terminal() -> None:
    text = "".join(chr(ord("a") + n % 26) for n in range(100))
    out = shown("", 0, draft(text), terminal=True, width=30)
    plain = re.sub(r"\x1b\[[\d;]*m", "", out)
    rows = [line.partition("│ ")[2] or line for line in plain.splitlines()[2:]]
    assert text in "".join(row.strip() for row in rows)


def test_provenance_names_the_parts_in_order_and_every_switch_with_its_cause() -> None:
    told = replace(
        draft("a + b"),
        parts=(Part(Origin.SMALL, 3, 2), Part(Origin.LARGE, 1, 4), Part(Origin.SMALL, 2, 5)),
        switches=(
            SwitchEvent(Switch.ROLLBACK, 3, "loss (nats)", 2.5, 2.0),
            SwitchEvent(Switch.HAND_BACK, 4),
        ),
        checked=True,
    )
    assert provenance(told) == (
        "wrote: small 3, large 1, small 2 · checked"
        " · rollback at token 3 (loss (nats) 2.50, threshold 2.00) · hand back at token 4"
    )
    assert "not checked" in provenance(replace(told, checked=False))


def test_only_a_pair_s_draft_has_a_line_of_provenance() -> None:
    told = replace(draft("x"), parts=(Part(Origin.LARGE, 1, 1),), checked=True)
    assert "   wrote: large 1 · checked" in shown("", 0, told, terminal=False).splitlines()
    assert "wrote" not in shown("", 0, draft("x"), terminal=False)


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x9b2J", "\x07", "\u202e", "\u2066"])
def test_neither_a_file_nor_a_draft_can_steer_the_terminal(evil: str) -> None:
    out = shown(f"a{evil}b", 1, draft(f"c{evil}d"), terminal=False)
    assert evil not in out
    assert "\x1b" not in out


def test_a_line_of_megabytes_is_cut_around_the_cursor() -> None:
    text = "x" * 2_000_000
    page = page_at(cursor_in(text, 1_000_000))
    (line,) = page.lines
    assert len(line) < 500
    assert line.plain.startswith("…") and line.plain.endswith("…")
    assert len(drawn(text, 1_000_000, draft("ghost"), marks=True)[0].split("‹ghost›")) == 2
