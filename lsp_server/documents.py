"""Snapshots of open documents, and the one place where editor positions become text offsets.

An editor counts columns in UTF-8, UTF-16 or UTF-32 code units (whichever was negotiated), polydraft
counts Unicode code points. Only LF, CR LF and CR end a line, as the protocol says (Python's
`splitlines`, and with it pygls' own text document, also splits at form feeds and the like, which
shifts every line after the first form feed of a file). All work is done by C-level string methods,
so a line of megabytes costs milliseconds.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from lsprotocol import types
from pygls.uris import to_fs_path

_LINE_END = re.compile(r"\r\n|\n|\r")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_WORD_BEFORE = re.compile(r"\w+\Z")
_LONGEST_WORD = 256

Encoding = types.PositionEncodingKind | str


@dataclass(frozen=True)
class Document:
    """The text of one document at one version; never changed, only replaced.

    `uri` is as `key_of` gives it. `path` is None where the document is no file (an unsaved
    buffer, a notebook cell); `notebook` is the file that a cell belongs to. `text` is as the
    editor sent it, with its own line endings, except that lone surrogates (which no tokenizer
    accepts) are replaced by U+FFFD.
    `known_line_starts` spares finding the lines anew after an edit.
    """

    uri: str
    text: str
    version: int
    language: str
    path: Path | None = None
    notebook: Path | None = None
    known_line_starts: Sequence[int] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def line_starts(self) -> Sequence[int]:
        """Offsets of the lines' first characters; there is always at least one line."""
        if self.known_line_starts is not None:
            return self.known_line_starts
        return [0, *(match.end() for match in _LINE_END.finditer(self.text))]

    @property
    def home(self) -> Path | None:
        """The file whose place says which settings and exclusions hold."""
        return self.path if self.notebook is None else self.notebook

    @cached_property
    def binary(self) -> bool:
        """Whether the text holds NUL characters, as no source file does."""
        return "\0" in self.text

    def line_span(self, line: int) -> tuple[int, int]:
        """Offsets of a line's beginning and of its end, without the line ending."""
        start = self.line_starts[line]
        if line + 1 == len(self.line_starts):
            return start, len(self.text)
        end = self.line_starts[line + 1] - 1
        if end > start and self.text[end] == "\n" and self.text[end - 1] == "\r":
            end -= 1
        return start, end


def opened(item: types.TextDocumentItem) -> Document:
    """The snapshot of a document that the editor has just opened."""
    return Document(
        uri=key_of(item.uri),
        text=without_lone_surrogates(item.text),
        version=item.version,
        language=item.language_id,
        path=path_of(item.uri),
    )


def key_of(uri: str) -> str:
    """A document's name in polydraft: editors do not escape a URI alike in all messages."""
    return unquote(uri)


def path_of(uri: str) -> Path | None:
    """The file that a URI names, or None for any scheme other than `file`."""
    path = to_fs_path(uri)
    return Path(path) if path else None


def without_lone_surrogates(text: str) -> str:
    """Replace each lone surrogate by U+FFFD, which is as long in every position encoding."""
    if text.isascii() or _LONE_SURROGATE.search(text) is None:
        return text
    return _LONE_SURROGATE.sub("\ufffd", text)


def units(text: str, encoding: Encoding) -> int:
    """How many code units of `encoding` the text takes."""
    if text.isascii() or encoding == types.PositionEncodingKind.Utf32:
        return len(text)
    if encoding == types.PositionEncodingKind.Utf8:
        return len(text.encode("utf-8"))
    return len(text.encode("utf-16-le")) // 2


def code_points(line: str, column: int, encoding: Encoding) -> int:
    """How many whole characters of `line` lie within its first `column` code units."""
    head = line[: max(column, 0)]  # a character takes at least one unit
    if head.isascii() or encoding == types.PositionEncodingKind.Utf32:
        return len(head)
    if encoding == types.PositionEncodingKind.Utf8:
        return len(head.encode("utf-8")[:column].decode("utf-8", "ignore"))
    return len(head.encode("utf-16-le")[: 2 * column].decode("utf-16-le", "ignore"))


def offset_at(document: Document, position: types.Position, encoding: Encoding) -> int | None:
    """The offset of an editor position, or None if its line lies outside the document.

    A column past the end of the line means the end of the line, as the protocol demands; one
    inside a character (half of a surrogate pair) means that character's beginning.
    """
    if not 0 <= position.line < len(document.line_starts):
        return None
    start, end = document.line_span(position.line)
    line = document.text[start : min(end, start + max(position.character, 0))]
    return start + code_points(line, position.character, encoding)


def position_at(document: Document, offset: int, encoding: Encoding) -> types.Position:
    """The editor position of an offset (0 to the length of the text)."""
    line = bisect_right(document.line_starts, offset) - 1
    start = document.line_starts[line]
    return types.Position(line, units(document.text[start:offset], encoding))


def changed(
    document: Document,
    changes: Sequence[types.TextDocumentContentChangeEvent],
    version: int,
    encoding: Encoding,
) -> Document:
    """The snapshot after the editor's changes, applied in order.

    Ranges that reach past the document are cut to it.
    """
    for change in changes:
        text = without_lone_surrogates(change.text)
        if isinstance(change, types.TextDocumentContentChangePartial):
            start = _clamped(document, change.range.start, encoding)
            end = max(start, _clamped(document, change.range.end, encoding))
            document = _spliced(document, start, end, text)
        else:
            document = replace(document, text=text, known_line_starts=None)
    return replace(document, version=version, known_line_starts=document.known_line_starts)


def end_of(
    changes: Sequence[types.TextDocumentContentChangeEvent], document: Document, encoding: Encoding
) -> int | None:
    """Where in `document`, which has the changes, the text ends that the last of them put in."""
    last = changes[-1] if changes else None
    if not isinstance(last, types.TextDocumentContentChangePartial) or not last.text:
        return None
    start = offset_at(document, last.range.start, encoding)
    return None if start is None else min(start + len(last.text), len(document.text))


def _spliced(document: Document, start: int, end: int, text: str) -> Document:
    """The document with `text` in place of start..end, and its line index if that is easily had."""
    before, after = document.text[:start], document.text[end:]
    starts = None
    # Elsewhere a CR LF pair may form or break, and the lines are counted anew.
    if "\r" not in before[-1:] + text + after[:1]:
        old, delta = document.line_starts, len(text) - (end - start)
        starts = [
            *old[: bisect_right(old, start)],
            *(start + match.end() for match in _LINE_END.finditer(text)),
            *(offset + delta for offset in old[bisect_right(old, end) :]),
        ]
    return replace(document, text=before + text + after, known_line_starts=starts)


def _clamped(document: Document, position: types.Position, encoding: Encoding) -> int:
    offset = offset_at(document, position, encoding)
    if offset is not None:
        return offset
    return 0 if position.line < 0 else len(document.text)


def with_line_feeds(text: str) -> str:
    """The text with every line ending as LF, the form in which models have seen code."""
    if "\r" not in text:
        return text
    return text.replace("\r\n", "\n").replace("\r", "\n")


def word_before(prefix: str) -> str:
    """The part of an identifier that ends the prefix, or an empty string."""
    match = _WORD_BEFORE.search(prefix[-_LONGEST_WORD:])
    return match.group() if match else ""
