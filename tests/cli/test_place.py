from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polydraft.lsp_server.failures import CommandError, UsageError
from polydraft.lsp_server.place import Place, parse_place, read_cursor

NOTHING = io.BytesIO()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a.py:1:1", Place("a.py", 1, 1)),
        (r"C:\src\a.py:12:5", Place(r"C:\src\a.py", 12, 5)),
        ("odd:name.py:3:4", Place("odd:name.py", 3, 4)),
        ("a:1:2:3:4", Place("a:1:2", 3, 4)),
        ("-:7:8", Place("-", 7, 8)),
        ("two words.py:1:2", Place("two words.py", 1, 2)),
    ],
)
def test_a_file_name_may_hold_colons(text: str, place: Place) -> None:
    assert parse_place(text) == place


@given(name=st.text(min_size=1), line=st.integers(1, 10**6), column=st.integers(1, 10**6))
def test_every_place_is_read_back_as_it_is_written(name: str, line: int, column: int) -> None:
    place = Place(name, line, column)
    assert parse_place(str(place)) == place


@pytest.mark.parametrize("text", ["a.py", "a.py:1", "a.py:x:1", ":1:2", "a.py:1:", "a.py:-1:2", ""])
def test_what_is_no_place_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="FILE:LINE:COL"):
        parse_place(text)


@pytest.mark.parametrize("text", ["a.py:0:1", "a.py:1:0"])
def test_lines_and_columns_count_from_one(text: str) -> None:
    with pytest.raises(UsageError, match="count from 1"):
        parse_place(text)


@pytest.mark.parametrize(
    ("line", "column", "before"),
    [
        (1, 1, ""),
        (1, 4, "a😀b"),  # the end of the line; the emoji is one column
        (2, 2, "a😀b\r\nc"),
        (3, 1, "a😀b\r\nc\n"),
    ],
)
def test_columns_are_code_points_whatever_ends_the_lines(
    tmp_path: Path, line: int, column: int, before: str
) -> None:
    path = tmp_path / "a.py"
    path.write_bytes("a😀b\r\nc\n".encode())
    cursor = read_cursor(Place(str(path), line, column), stdin=NOTHING)
    assert cursor.document.text[: cursor.offset] == before
    assert cursor.document.language == "python"


def test_a_byte_order_mark_takes_no_column(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"\xef\xbb\xbfab")
    cursor = read_cursor(Place(str(path), 1, 2), stdin=NOTHING)
    assert cursor.document.text[: cursor.offset] == "a"


@pytest.mark.parametrize(
    ("line", "column", "says"),
    [
        (4, 1, "has 3 lines, so there is no line 4"),
        (1, 4, "has 2 characters, so columns go from 1 to 3"),
        (2, 3, "has 1 character, so columns go from 1 to 2"),
    ],
)
def test_a_place_outside_the_file_says_how_large_it_is(
    tmp_path: Path, line: int, column: int, says: str
) -> None:
    path = tmp_path / "a.py"
    path.write_text("ab\nc\n")
    with pytest.raises(CommandError, match=says):
        read_cursor(Place(str(path), line, column), stdin=NOTHING)


def test_a_refused_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"\0")  # reading it would complain of something else
    with pytest.raises(CommandError, match="^no$"):
        read_cursor(Place(str(path), 1, 1), stdin=NOTHING, refuse=lambda _: "no")


def test_a_dash_is_standard_input() -> None:
    cursor = read_cursor(Place("-", 2, 2), stdin=io.BytesIO(b"a\nbc"), language="python")
    assert (cursor.document.path, cursor.offset, cursor.document.language) == (None, 3, "python")
