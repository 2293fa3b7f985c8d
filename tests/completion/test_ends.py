"""When is a draft finished, as text: the rules one by one, and the rule for a whole request."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polydraft.completion.brackets import missing_closers, scan
from polydraft.completion.ends import TextEnds
from polydraft.completion.postprocess import finish_text
from polydraft.completion.types import Finish, Request


class ByteTokenizer:
    """One token a byte, so that a character may be cut in half."""

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode(errors="replace")

    def special(self, token: str) -> int:
        raise KeyError(token)


BYTES = ByteTokenizer()


def finish_at(
    document: str, draft: str, multiline: bool = False, language: str = "python"
) -> tuple[Finish | None, str]:
    """Feed `draft` token by token; why it ended and the text that was read until then."""
    before, after = document.split("▮")
    ends = TextEnds(BYTES, Request(before, after, language=language), multiline)
    ids = BYTES.encode(draft)
    for count in range(1, len(ids) + 1):
        finish = ends(ids[:count])
        if finish is not None:
            return finish, BYTES.decode(ids[:count])
    return None, draft


LINE, BLOCK = Finish.LINE, Finish.BLOCK


@pytest.mark.parametrize(
    ("document", "draft", "finish", "read"),
    [
        ("x = ▮\n", "1\ny", LINE, "1\n"),
        ("x = 1▮\n", "\ny = 2", LINE, "\n"),
        ("x = 1\n▮\n", "\ny\nz", LINE, "\ny\n"),
        ("x = ▮\n", "f(1)", None, "f(1)"),
        ("f(▮\n", "a)", None, "a)"),
        ("f(▮\n", "a))", LINE, "a))"),
        ("f(▮)\n", "a):", None, "a):"),
        ("f(▮)\n", "a))", LINE, "a))"),
        ("f(▮) + 1\n", "a) *", LINE, "a)"),
        ("f(\n    ▮\n)\n", "a)", LINE, "a)"),
        ("f('▮\n", "a)')", None, "a)')"),
        ("f(▮\n", "'é)', x)", None, "'é)', x)"),
        ("# a▮\n", ") b ]", None, ") b ]"),
        ("x = ▮\n", "f(\n    1,\n)\ny", LINE, "f(\n    1,\n)\n"),
        ("x = ▮\n", "{\n    1: [\n2]}\n", LINE, "{\n    1: [\n2]}\n"),
        ("x = ▮\n", "'(\n", LINE, "'(\n"),
        ("x = ▮ + y\n", "f(\n    1,\n)\n", LINE, "f(\n"),
        ("x = ▮\n    1,\n)\n", "f(\n    1,", LINE, "f(\n"),
        ("f(a, ▮\n)\n", "g(\n    1),\n)", LINE, "g(\n    1),\n"),
    ],
)
def test_single_line(document: str, draft: str, finish: Finish | None, read: str) -> None:
    assert finish_at(document, draft) == (finish, read)


def test_a_brace_that_opens_a_block_ends_the_line() -> None:
    for draft in ("(x) {\n", "(() => {\n"):
        assert finish_at("if ▮\n", draft, language="javascript") == (LINE, draft)


def test_where_single_lines_are_asked_for_a_statement_ends_with_its_line() -> None:
    ends = TextEnds(BYTES, Request("x = ", "\n", language="python", multiline=False), False)
    assert ends(BYTES.encode("f(\n")) is LINE


@pytest.mark.parametrize(
    ("document", "draft", "finish", "read"),
    [
        ("def f():▮\n", "\n    x\n    y", None, "\n    x\n    y"),
        ("def f():▮\n", "\n    x\ny = 1", BLOCK, "\n    x\ny"),
        ("def f():▮\n    return x\n", "\n    y\n    return x\n", BLOCK, "\n    y\n    return x\n"),
        ("def f():\n    ▮\n", "x\n\n    y", None, "x\n\n    y"),
        ("def f():\n    ▮\n", "x\n\n\n\n", BLOCK, "x\n\n\n"),
        ("▮\n", "x = 1\ny = 2\n\nz = 3", BLOCK, "x = 1\ny = 2\n\nz"),
        ("def f():\n    ▮\n", "g(\n1,\n)\n    x", None, "g(\n1,\n)\n    x"),
    ],
)
def test_block(document: str, draft: str, finish: Finish | None, read: str) -> None:
    assert finish_at(document, draft, multiline=True) == (finish, read)


def test_the_brace_that_closes_the_block_is_its_end() -> None:
    finish = finish_at("if (x) {▮\n", "\n  a();\n}\nb();", multiline=True, language="javascript")
    assert finish == (BLOCK, "\n  a();\n}\nb")


def test_a_brace_that_stands_below_ends_the_draft() -> None:
    finish = finish_at("if (x) {\n  ▮\n}\n", "a();\n}", multiline=True, language="javascript")
    assert finish == (BLOCK, "a();\n}")


def test_half_a_character_ends_nothing() -> None:
    ends = TextEnds(BYTES, Request("x = '", ""), multiline=False)
    ids = BYTES.encode("👍")
    assert [ends(ids[:count]) for count in range(5)] == [None] * 5


def test_half_a_line_end_ends_nothing() -> None:
    ends = TextEnds(BYTES, Request("x = ", ""), multiline=False)
    assert ends(BYTES.encode("1\r")) is None
    assert ends(BYTES.encode("1\r\n")) is Finish.LINE


CODE = st.text(st.sampled_from("ab (){}[]'\n:,é"), max_size=40)


@given(CODE, CODE, CODE, st.booleans())
def test_what_the_rule_stops_at_the_filters_cut(
    before: str, after: str, draft: str, multiline: bool
) -> None:
    """Tokens behind the end add nothing to what the user sees, so stopping there loses nothing."""
    request = Request(before, after, language="python", multiline=multiline)
    ends = TextEnds(BYTES, request, multiline)
    ids = BYTES.encode(draft)
    stops = [count for count in range(len(ids) + 1) if ends(ids[:count]) is not None]
    if stops:
        short = finish_text(BYTES.decode(ids[: stops[0]]), request, Finish.STOP_TOKEN)
        whole = finish_text(draft, request, Finish.STOP_TOKEN)
        assert (whole.text if whole else "").startswith(short.text.rstrip() if short else "")


@pytest.mark.parametrize(
    ("text", "language", "events", "inside"),
    [
        ("f('(')", "python", "()", ""),
        ("f('''(\n)''')", "python", "()", ""),
        ('f("(', "python", "(", '"'),
        ('f("(\n)', "python", "()", ""),
        ("# (\n[", "python", "[", ""),
        ("# (", "python", "", "#"),
        ("/* ( */ {", "c", "{", ""),
        ("/* (", "c", "", "/*"),
        ("a // b", "python", "", ""),
        ("x = '(' + '\\'' + (", "c", "(", ""),
        ("fn f<'a>(x: &'a [u8]", "rust", "([]", ""),
        ("`${(`[", "typescript", "[", ""),
        ("a) b]", "markdown", "", ""),
        ('x = "a\\"(" + [', "java", "[", ""),
    ],
)
def test_the_scanner_knows_strings_and_comments(
    text: str, language: str, events: str, inside: str
) -> None:
    found = scan(text, language)
    assert ("".join(char for _, char in found.events), found.inside) == (events, inside)


@pytest.mark.parametrize(
    ("due", "later", "missing"),
    [
        (")", "", ")"),
        (")", ")", ""),
        ("))", ")", ")"),
        (")}", "}", ")"),
        (")}", "}}", ")"),
        ("}}", "}}", ""),
        (")]}", "]}", ")"),
        ("", ")", ""),
    ],
)
def test_the_innermost_bracket_is_the_missing_one(due: str, later: str, missing: str) -> None:
    assert "".join(missing_closers(list(due), list(later))) == missing
