from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from polydraft.lsp_server.documents import (
    Document,
    changed,
    end_of,
    offset_at,
    opened,
    position_at,
    units,
    with_line_feeds,
    word_before,
)

UTF8 = types.PositionEncodingKind.Utf8
UTF16 = types.PositionEncodingKind.Utf16
UTF32 = types.PositionEncodingKind.Utf32
ENCODINGS = (UTF8, UTF16, UTF32)

# A grin takes 4, 2 and 1 units; e with a combining acute is two characters of 1+2, 1+1, 1+1.
EMOJI = 'x = "😀e\u0301" + y'

text = st.text(alphabet=st.sampled_from("ab \t\n\r\f\u2028é\u0301中😀𝔘\0"), max_size=60)
encodings = st.sampled_from(ENCODINGS)


def document(content: str) -> Document:
    return Document("file:///a.py", content, 1, "python")


def test_columns_before_and_behind_an_emoji_in_each_encoding() -> None:
    rows = [
        # column of:  grin  e  acute  closing quote
        (UTF8, (5, 9, 10, 12)),
        (UTF16, (5, 7, 8, 9)),
        (UTF32, (5, 6, 7, 8)),
    ]
    for encoding, columns in rows:
        for offset, column in zip((5, 6, 7, 8), columns, strict=True):
            position = types.Position(0, column)
            assert offset_at(document(EMOJI), position, encoding) == offset
            assert position_at(document(EMOJI), offset, encoding) == position


@pytest.mark.parametrize(("encoding", "inside"), [(UTF8, 7), (UTF16, 6)])
def test_a_column_inside_a_character_means_its_beginning(encoding: str, inside: int) -> None:
    assert offset_at(document(EMOJI), types.Position(0, inside), encoding) == 5


@given(content=text, encoding=encodings, data=st.data())
def test_every_offset_survives_the_way_to_the_editor_and_back(
    content: str, encoding: types.PositionEncodingKind, data: st.DataObject
) -> None:
    offset = data.draw(st.integers(0, len(content)))
    if content[offset - 1 : offset + 1] == "\r\n":
        return  # no editor position lies between CR and LF
    assert (
        offset_at(document(content), position_at(document(content), offset, encoding), encoding)
        == offset
    )


@given(content=text, encoding=encodings, line=st.integers(0, 20), column=st.integers(0, 100))
def test_any_position_gives_an_offset_on_its_line_or_none_past_the_end(
    content: str, encoding: types.PositionEncodingKind, line: int, column: int
) -> None:
    lines = with_line_feeds(content).split("\n")
    offset = offset_at(document(content), types.Position(line, column), encoding)
    if line >= len(lines):
        assert offset is None
    else:
        assert offset is not None
        start = document(content).line_starts[line]
        assert start <= offset <= start + len(lines[line])
        if column >= units(lines[line], encoding):
            assert offset == start + len(lines[line])


def test_a_column_past_the_end_means_the_end_before_the_line_ending() -> None:
    for ending in ("\n", "\r\n", "\r"):
        held = document(f"ab{ending}cd")
        assert offset_at(held, types.Position(0, 99), UTF16) == 2
        assert offset_at(held, types.Position(1, 99), UTF16) == len(held.text)
        assert offset_at(held, types.Position(2, 0), UTF16) is None


def test_form_feeds_and_unicode_separators_end_no_line() -> None:
    held = document("a\fb\x0bc\u2028d\x85e\nf")
    assert list(held.line_starts) == [0, 10]


@given(content=text, encoding=encodings, inserted=text, data=st.data())
def test_an_incremental_edit_equals_the_edit_on_plain_text(
    content: str, encoding: types.PositionEncodingKind, inserted: str, data: st.DataObject
) -> None:
    held = document(content)
    places = [
        offset
        for offset in range(len(content) + 1)
        if content[max(offset - 1, 0) : offset + 1] != "\r\n"
    ]
    start, end = sorted(data.draw(st.tuples(st.sampled_from(places), st.sampled_from(places))))
    span = types.Range(position_at(held, start, encoding), position_at(held, end, encoding))
    edit = types.TextDocumentContentChangePartial(range=span, text=inserted)
    after = changed(held, [edit], 2, encoding)
    assert after.text == content[:start] + inserted + content[end:]
    assert after.version == 2
    assert list(after.line_starts) == list(document(after.text).line_starts)


def test_a_range_past_the_document_is_cut_to_it() -> None:
    span = types.Range(types.Position(0, 1), types.Position(99, 0))
    edit = types.TextDocumentContentChangePartial(range=span, text="!")
    assert changed(document("abc\ndef\n"), [edit], 2, UTF16).text == "a!"


def test_a_whole_document_change_replaces_the_text() -> None:
    whole = types.TextDocumentContentChangeWholeDocument(text="new\n")
    assert changed(document("old"), [whole], 5, UTF16).text == "new\n"


def test_lone_surrogates_are_replaced_and_columns_stay() -> None:
    item = types.TextDocumentItem("untitled:Untitled-1", "python", 1, "a\ud83d b")
    held = opened(item)
    assert held.text == "a\ufffd b"
    assert held.path is None
    assert offset_at(held, types.Position(0, 3), UTF16) == 3


def test_escaped_uris_name_one_document_and_the_right_file() -> None:
    one = opened(types.TextDocumentItem("file:///w/c%23/x%20y.cs", "csharp", 1, ""))
    assert str(one.path) == "/w/c#/x y.cs"
    assert one.uri == opened(types.TextDocumentItem("file:///w/c#/x y.cs", "csharp", 1, "")).uri


def test_word_before_is_the_half_typed_identifier() -> None:
    rows = [("x = foo_b", "foo_b"), ("x.", ""), ("", ""), ("größ", "größ"), ("a b ", "")]
    for prefix, word in rows:
        assert word_before(prefix) == word
    assert len(word_before("a" * 2_000_000)) <= 256


@given(content=text, inserted=text, encoding=encodings, data=st.data())
def test_the_end_of_what_was_put_in_last(
    content: str, inserted: str, encoding: types.PositionEncodingKind, data: st.DataObject
) -> None:
    offset = data.draw(st.integers(0, len(content)))
    if "\r" in content[:offset][-1:] + inserted + content[offset : offset + 1]:
        return  # where a CR LF pair forms or breaks, positions do not mean the same before it
    here = position_at(document(content), offset, encoding)
    edit = types.TextDocumentContentChangePartial(types.Range(here, here), inserted)
    new = changed(document(content), [edit], 2, encoding)
    assert end_of([edit], new, encoding) == (offset + len(inserted) if inserted else None)
    whole = types.TextDocumentContentChangeWholeDocument(inserted)
    assert end_of([whole], new, encoding) is None and end_of([], new, encoding) is None
