"""A place to complete as the command line names it: `FILE:LINE:COL`.

LINE and COL count from 1, COL in Unicode code points; COL one past the last character means the
end of the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pygls.uris import from_fs_path

from polydraft.lsp_server.documents import Document
from polydraft.lsp_server.failures import CommandError, UsageError

STDIN = "-"
_PLACE = re.compile(r"(?s)(.+):(\d+):(\d+)")

# LSP language ids; where the ending says nothing, completion goes by brackets and indentation.
_LANGUAGES = {
    **dict.fromkeys((".py", ".pyi", ".pyw"), "python"),
    **dict.fromkeys((".js", ".mjs", ".cjs"), "javascript"),
    **dict.fromkeys((".ts", ".mts", ".cts"), "typescript"),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx"), "cpp"),
    **dict.fromkeys((".c", ".h"), "c"),
    **dict.fromkeys((".sh", ".bash"), "shellscript"),
    **dict.fromkeys((".html", ".htm"), "html"),
    **dict.fromkeys((".yaml", ".yml"), "yaml"),
    **dict.fromkeys((".md", ".markdown"), "markdown"),
    ".jsx": "javascriptreact",
    ".tsx": "typescriptreact",
    ".go": "go",
    ".rs": "rust",
    ".java": "java",
    ".kt": "kotlin",
    ".cs": "csharp",
    ".rb": "ruby",
    ".php": "php",
    ".swift": "swift",
    ".lua": "lua",
    ".sql": "sql",
    ".css": "css",
    ".json": "json",
    ".toml": "toml",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A file's name as given ("-": standard input) and a position in it, both counting from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place that exists: `offset` into the document's text."""

    place: Place
    document: Document
    offset: int


def parse_place(text: str) -> Place:
    """Read `FILE:LINE:COL`; the file's name may hold colons. `UsageError` if it is none."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise UsageError(
            f"{text!r} is not a place in a file. Write FILE:LINE:COL, for example main.py:12:5;"
            " lines and columns count from 1."
        )
    place = Place(found[1], int(found[2]), int(found[3]))
    if place.line < 1 or place.column < 1:
        raise UsageError(f"{text!r}: lines and columns count from 1.")
    return place


def language_of(path: Path) -> str:
    """The LSP language id that a file's name tells, or ""."""
    return _LANGUAGES.get(path.suffix.lower(), "")


def read_cursor(
    place: Place,
    *,
    stdin: BinaryIO,
    language: str = "",
    refuse: Callable[[Path], str | None] = lambda path: None,
) -> Cursor:
    """Open the file and find the place in it.

    `refuse` is asked before the file is read and says why it must not be, or None. `CommandError`
    if there is no such text or no such place in it.
    """
    if place.file == STDIN:
        text = _decoded(stdin.read(), "Standard input")
        document = Document("untitled:stdin", text, 0, language)
        return Cursor(place, document, _offset(document, place, "Standard input"))
    path = Path(place.file).expanduser().absolute()
    if not path.exists():
        raise CommandError(f"{place.file}: there is no such file.")
    if path.is_dir():
        raise CommandError(f"{place.file} is a directory; name a file in it.")
    if (reason := refuse(path)) is not None:
        raise CommandError(reason)
    text = _decoded(path.read_bytes(), place.file)
    uri = from_fs_path(str(path)) or ""
    document = Document(uri, text, 0, language or language_of(path), path)
    return Cursor(place, document, _offset(document, place, place.file))


def _decoded(data: bytes, name: str) -> str:
    if b"\0" in data:
        raise CommandError(f"{name} is a binary file; polydraft completes text.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{name} is not UTF-8 text (byte {error.start:,} does not fit). Convert it first, for"
            " example with iconv."
        ) from None


def _offset(document: Document, place: Place, name: str) -> int:
    lines = len(document.line_starts)
    if place.line > lines:
        raise CommandError(f"{name} has {_count(lines, 'line')}, so there is no line {place.line}.")
    start, end = document.line_span(place.line - 1)
    if place.column > end - start + 1:
        raise CommandError(
            f"Line {place.line} of {name} has {_count(end - start, 'character')}, so columns go"
            f" from 1 to {end - start + 1} (the end of the line); there is no column"
            f" {place.column}."
        )
    return start + place.column - 1


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
