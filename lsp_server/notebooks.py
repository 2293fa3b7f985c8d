"""Which cells a notebook has, in order, and the code that stands before one of them.

The texts of cells are documents like others, by the cells' URIs; only the order is kept here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lsprotocol import types
from pygls.uris import to_fs_path

from polydraft.lsp_server.documents import Document, key_of, opened, path_of

_CELL_SCHEME = "vscode-notebook-cell"
_BETWEEN_CELLS = "\n\n"


@dataclass(frozen=True, slots=True)
class Cell:
    """`uri` as `key_of` gives it; `code`: it is not one of prose."""

    uri: str
    code: bool


class Notebooks:
    """The open notebooks of one client."""

    def __init__(self) -> None:
        self._cells: dict[str, tuple[Cell, ...]] = {}

    def open(self, notebook: types.NotebookDocument) -> None:
        self._cells[key_of(notebook.uri)] = tuple(map(_cell, notebook.cells))

    def splice(self, uri: str, change: types.NotebookCellArrayChange) -> None:
        """Cells were put in, taken out or replaced; one that moves is taken out and put in."""
        cells, start = self._cells.get(key_of(uri), ()), change.start
        new = tuple(map(_cell, change.cells or ()))
        self._cells[key_of(uri)] = cells[:start] + new + cells[start + change.delete_count :]

    def describe(self, uri: str, cells: Iterable[types.NotebookCell]) -> None:
        """Some cells are of another kind now."""
        known = {cell.uri: cell for cell in map(_cell, cells)}
        old = self._cells.get(key_of(uri), ())
        self._cells[key_of(uri)] = tuple(known.get(cell.uri, cell) for cell in old)

    def close(self, uri: str) -> tuple[str, ...]:
        """-> the URIs of its cells."""
        return tuple(cell.uri for cell in self._cells.pop(key_of(uri), ()))

    def before(self, document: Document, documents: Mapping[str, Document], most: int) -> str:
        """The code cells above a cell that are in its language, the nearest ones within `most`
        characters; empty for a document that is no cell."""
        above: list[str] = []
        for cell in reversed(self._above(document.uri)):
            other = documents.get(cell.uri)
            if other is None or not cell.code or other.language != document.language:
                continue
            text = other.text.rstrip()
            most -= len(text)
            if most < 0 or other.binary:
                break
            if text:
                above.append(text + _BETWEEN_CELLS)
        return "".join(reversed(above))

    def _above(self, uri: str) -> tuple[Cell, ...]:
        for cells in self._cells.values():
            for index, cell in enumerate(cells):
                if cell.uri == uri:
                    return cells[:index] if cell.code else ()
        return ()


def opened_cell(item: types.TextDocumentItem, notebook: str) -> Document:
    """The snapshot of a cell that the editor has opened with its notebook, whose URI is given."""
    return replace(opened(item), notebook=path_of(notebook))


def opened_alone(item: types.TextDocumentItem) -> Document:
    """The snapshot of a document that was opened by itself, which some editors do with cells."""
    return replace(opened(item), notebook=notebook_path(item.uri))


def notebook_path(cell: str) -> Path | None:
    """The notebook's file, if a cell's URI names one on this machine.

    VS Code writes the notebook's path with the cell's number and the notebook's scheme behind it:
    `vscode-notebook-cell:/a.ipynb#W0sZmlsZQ==`, in which `ZmlsZQ==` is "file".
    """
    parts = urlsplit(cell)
    if parts.scheme != _CELL_SCHEME or not parts.path.startswith("/"):
        return None
    if _scheme_in(unquote(parts.fragment)) not in {"file", ""}:
        return None
    path = to_fs_path(parts._replace(scheme="file", fragment="").geturl())
    return Path(path) if path else None


def _scheme_in(fragment: str) -> str:
    """The notebook's scheme, or an empty string if the fragment does not tell."""
    _, _, encoded = fragment.partition("s")
    try:
        return base64.b64decode(encoded, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _cell(cell: types.NotebookCell) -> Cell:
    return Cell(key_of(cell.document), cell.kind == types.NotebookCellKind.Code)
