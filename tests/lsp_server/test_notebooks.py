"""Notebooks: the cells above are context, the cell's own positions stay, exclusions hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from polydraft.lsp_server.notebooks import notebook_path
from tests.fakes import FakeCompleter, FakeProvider, draft
from tests.lsp_server.harness import Editor, editing

NOTEBOOK = "file:///w/n.ipynb"
CODE, PROSE = types.NotebookCellKind.Code, types.NotebookCellKind.Markup


def cell(name: str) -> str:
    return f"vscode-notebook-cell:/w/n.ipynb#{name}sZmlsZQ%3D%3D"


def cells(*names: str) -> list[types.NotebookCell]:
    return [types.NotebookCell(PROSE if name[0] == "m" else CODE, cell(name)) for name in names]


def item(name: str, text: str, language: str = "") -> types.TextDocumentItem:
    language = language or ("markdown" if name[0] == "m" else "python")
    return types.TextDocumentItem(cell(name), language, 1, text)


def open_notebook(
    editor: Editor, names: Sequence[str], *items: types.TextDocumentItem, uri: str = NOTEBOOK
) -> None:
    notebook = types.NotebookDocument(uri, "jupyter-notebook", 1, cells(*names))
    editor.client.notebook_document_did_open(
        types.DidOpenNotebookDocumentParams(notebook, list(items))
    )


def change(editor: Editor, **what: Any) -> None:
    event = types.NotebookDocumentChangeEvent(cells=types.NotebookDocumentCellChanges(**what))
    notebook = types.VersionedNotebookDocumentIdentifier(2, NOTEBOOK)
    editor.client.notebook_document_did_change(
        types.DidChangeNotebookDocumentParams(notebook, event)
    )


def splice(
    start: int,
    delete: int,
    new: Sequence[str] = (),
    *,
    opens: Sequence[types.TextDocumentItem] = (),
    closes: Sequence[str] = (),
) -> types.NotebookDocumentCellChangeStructure:
    return types.NotebookDocumentCellChangeStructure(
        types.NotebookCellArrayChange(start, delete, cells(*new)),
        list(opens),
        [types.TextDocumentIdentifier(cell(name)) for name in closes],
    )


def typed(name: str, line: int, column: int, text: str) -> types.NotebookDocumentCellContentChanges:
    here = types.Position(line, column)
    edit = types.TextDocumentContentChangePartial(range=types.Range(here, here), text=text)
    document = types.VersionedTextDocumentIdentifier(uri=cell(name), version=2)
    return types.NotebookDocumentCellContentChanges(document, [edit])


async def prefix(provider: FakeProvider, editor: Editor, line: int, column: int, name: str) -> str:
    """What the engine gets to see before the cursor."""
    await editor.inline(line, column, uri=cell(name))
    return provider.completer.requests[-1].prefix


THREE = (item("a", "a = 1\n"), item("m", "# Title"), item("b", "b = 2"), item("c", "x\nc = "))
ORDER = ("a", "m", "b", "c")


async def test_the_server_asks_for_all_cells_of_all_notebooks() -> None:
    async with editing(FakeProvider()) as editor:
        can = types.NotebookDocumentClientCapabilities(
            types.NotebookDocumentSyncClientCapabilities()
        )
        again = await editor.client.initialize_async(
            types.InitializeParams(capabilities=types.ClientCapabilities(notebook_document=can))
        )
        sync = again.capabilities.notebook_document_sync
        assert sync is not None
        (everything,) = sync.notebook_selector
        assert isinstance(everything, types.NotebookDocumentFilterWithNotebook)
        assert (everything.notebook, everything.cells) == ("*", None)


async def test_the_code_cells_above_stand_before_the_cell_and_its_ranges_are_its_own() -> None:
    provider = FakeProvider(FakeCompleter(write=lambda request: ["fo(3)", "d", draft("e)")]))
    async with editing(provider) as editor:
        open_notebook(editor, ORDER, *THREE)
        answer = await editor.drafts(1, 4, uri=cell("c"))
        request = provider.completer.requests[-1]
        assert (request.prefix, request.suffix) == ("a = 1\n\nb = 2\n\nx\nc = ", "")
        assert [each["text"] for each in answer["drafts"]] == ["fo(3)", "d", "e)"]
        assert answer["drafts"][0]["range"]["start"] == {"line": 1, "character": 4}
        change(editor, text_content=[typed("c", 1, 4, "f")])
        (inline,) = (await editor.ask(1, 5, uri=cell("c"))).items
        assert (inline.insert_text, inline.range.start.line) == ("fo(3)", 1)  # type: ignore[union-attr]
        assert len(provider.completer.requests) == 1


async def test_cells_below_prose_and_other_languages_are_not_in_the_prompt() -> None:
    provider = FakeProvider()
    async with editing(provider) as editor:
        shell = item("s", "ls -l", "shellscript")
        open_notebook(editor, ("a", "s", "m", "b", "c"), shell, *THREE)
        assert await prefix(provider, editor, 0, 5, "b") == "a = 1\n\nb = 2"
        assert await prefix(provider, editor, 0, 7, "m") == "# Title"
        assert await prefix(provider, editor, 0, 5, "s") == "ls -l"


async def test_cells_that_are_edited_moved_put_in_and_taken_out() -> None:
    provider = FakeProvider()
    async with editing(provider) as editor:
        open_notebook(editor, ORDER, *THREE)
        change(editor, text_content=[typed("a", 0, 5, "0"), typed("b", 0, 0, "b\n")])
        assert await prefix(provider, editor, 0, 1, "c") == "a = 10\n\nb\nb = 2\n\nx"
        change(editor, structure=splice(0, 1))
        change(editor, structure=splice(2, 0, ["a"]))  # so "a" has moved behind "b"
        assert await prefix(provider, editor, 0, 1, "c") == "b\nb = 2\n\na = 10\n\nx"
        change(editor, structure=splice(0, 2, ["d"], opens=[item("d", "d")], closes=["m", "b"]))
        assert await prefix(provider, editor, 0, 1, "c") == "d\n\na = 10\n\nx"
        assert await editor.inline(0, 0, uri=cell("b")) == []
        again = item("d", "d", "julia")  # another language: closed and opened in one message
        change(editor, structure=splice(0, 1, ["d"], opens=[again], closes=["d"]))
        assert await prefix(provider, editor, 0, 1, "c") == "a = 10\n\nx"
        change(editor, data=[types.NotebookCell(PROSE, cell("a"))])
        assert await prefix(provider, editor, 0, 1, "c") == "x"


async def test_a_notebook_that_is_saved_goes_on_and_one_that_is_closed_ends() -> None:
    provider = FakeProvider()
    async with editing(provider) as editor:
        open_notebook(editor, ORDER, *THREE)
        identifier = types.NotebookDocumentIdentifier(NOTEBOOK)
        editor.client.notebook_document_did_save(types.DidSaveNotebookDocumentParams(identifier))
        assert len(await editor.inline(0, 1, uri=cell("c"))) == 3
        editor.client.notebook_document_did_close(
            types.DidCloseNotebookDocumentParams(
                identifier, [types.TextDocumentIdentifier(cell(name)) for name in ORDER]
            )
        )
        assert await editor.inline(0, 1, uri=cell("c")) == []


async def test_only_as_many_cells_as_fit_the_largest_file_stand_before_one() -> None:
    provider = FakeProvider()
    async with editing(provider, options={"maxFileSize": 8}) as editor:
        open_notebook(editor, ORDER, *THREE)
        assert await prefix(provider, editor, 0, 1, "c") == "b = 2\n\nx"


@pytest.mark.parametrize("plain", [False, True])
async def test_cells_of_an_excluded_notebook_get_no_drafts(plain: bool) -> None:
    def is_excluded(path: Path, root: Path | None) -> bool:
        return path == Path("/w/n.ipynb")

    provider = FakeProvider()
    async with editing(provider, is_excluded=is_excluded) as editor:
        if plain:
            editor.open("x = ", uri=cell("a"))
        else:
            open_notebook(editor, ["a"], item("a", "x = "))
        assert await editor.inline(0, 4, uri=cell("a")) == []
        assert provider.completer.requests == []
        (message,) = editor.shown
        assert "n.ipynb" in message


async def test_the_settings_of_a_notebook_are_those_of_its_folder(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    (folders[1] / "polydraft.toml").write_text("k = 2\n")
    provider = FakeProvider()
    async with editing(provider, folders=folders) as editor:
        open_notebook(editor, ["a"], item("a", "x"), uri=(folders[1] / "n.ipynb").as_uri())
        assert len(await editor.inline(0, 1, uri=cell("a"))) == 2


async def test_what_a_notebook_imports_is_looked_for_beside_it() -> None:
    asked: list[Any] = []

    def gather(**surroundings: Any) -> tuple[()]:
        asked.append(surroundings)
        return ()

    async with editing(FakeProvider(), gather=gather) as editor:
        open_notebook(editor, ["a", "b"], item("a", "import tools"), item("b", "x"))
        await editor.inline(0, 1, uri=cell("b"))
        (surroundings,) = asked
        assert surroundings["document"].path == Path("/w/n.py")
        assert surroundings["document"].text == "import tools\n\nx"
        assert surroundings["others"] == []


async def test_a_cell_that_is_opened_alone_is_completed() -> None:
    provider = FakeProvider()
    async with editing(provider) as editor:
        editor.open("x = ", uri=cell("a"))
        assert await prefix(provider, editor, 0, 4, "a") == "x = "


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("vscode-notebook-cell:/w/my%20n.ipynb#W0sZmlsZQ%3D%3D", "/w/my n.ipynb"),
        ("vscode-notebook-cell:/w/n.ipynb#X10sZmlsZQ==", "/w/n.ipynb"),
        ("vscode-notebook-cell:/w/n.ipynb#1", "/w/n.ipynb"),
        ("vscode-notebook-cell:/w/n.ipynb#W0sdnNjb2RlLXJlbW90ZQ==", None),
        ("vscode-notebook-cell:Untitled-1.ipynb#W0sdW50aXRsZWQ=", None),
        ("file:///w/n.py", None),
    ],
)
def test_a_cell_names_its_notebook_if_that_is_a_file_here(uri: str, path: str | None) -> None:
    assert notebook_path(uri) == (None if path is None else Path(path))
