"""What of a workspace is counted, what never is, and what is kept between runs."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from lsprotocol import types

from polydraft.completion.ngram_index import NGramIndex
from polydraft.completion.types import Cancelled, CancelToken
from polydraft.lsp_server import workspace_ngrams
from polydraft.lsp_server.documents import Document
from polydraft.lsp_server.ngram_store import KnownText, NGramStore
from polydraft.lsp_server.surroundings import Surroundings
from polydraft.lsp_server.worker import Worker
from polydraft.lsp_server.workspace_files import nearest_first
from polydraft.lsp_server.workspace_indexer import Accepted, View, WorkspaceIndexer
from polydraft.lsp_server.workspace_ngrams import WorkspaceNGrams
from tests.fakes import FakeCompleter, FakeProvider
from tests.lsp_server.harness import Editor, editing


@dataclass
class Interrupted(FakeCompleter):
    """Has a slice cut short, as a request does, while every text but the first is encoded."""

    token: CancelToken = field(default_factory=CancelToken)

    def encode(self, text: str) -> list[int]:
        if self.encoded:
            self.token.cancel()
        return super().encode(text)


def counted(index: NGramIndex | None, word: str) -> int:
    """How often a word of four letters and more is in the index."""
    assert index is not None and len(word) >= 4
    ids = [ord(character) for character in word]
    return min(
        int(index.following([ids[i : i + 3]], [ids[i + 3]])[0, 1]) for i in range(len(ids) - 3)
    )


def write(root: Path, **texts: str) -> None:
    """Files named `a__b` for a/b.py; one without an underscore is root/NAME.py."""
    for name, text in texts.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def opened(path: Path, text: str = "pass\n", version: int = 1) -> Document:
    return Document(path.as_uri(), text, version, "python", path)


def view_of(*documents: Document, look: int = 1, **more: object) -> View:
    by_path = {document.path: document for document in documents if document.path}
    return View(by_path, more.pop("excludes", lambda path: False), look=look, **more)  # type: ignore[arg-type]


class Indexing:
    """An indexer of a folder, with real ignore rules, run until there is nothing left to do."""

    def __init__(
        self, root: Path, store: NGramStore | None = None, completer: FakeCompleter | None = None
    ) -> None:
        self.completer = completer or FakeCompleter()
        self.indexer = WorkspaceIndexer(root, self.completer, Surroundings().is_excluded, store)
        self.index = self.indexer.index

    def run(self, view: View) -> None:
        while self.indexer.step(view, CancelToken()):
            pass

    def has(self, word: str) -> bool:
        return counted(self.index, word) > 0


# --- files ---


def test_files_of_the_languages_being_edited_are_counted(tmp_path: Path) -> None:
    write(tmp_path, pkg__one="def wombat(): ...\n", two="def gibbon(): ...\n")
    (tmp_path / "notes.md").write_text("ocelot\n")
    work = Indexing(tmp_path)
    work.run(view_of(opened(tmp_path / "main.py")))
    assert [work.has(word) for word in ("wombat", "gibbon", "ocelot")] == [True, True, False]
    work.run(view_of(opened(tmp_path / "main.py"), opened(tmp_path / "other.md")))
    assert work.has("ocelot")


def test_ignored_secret_binary_generated_and_foreign_files_are_never_counted(
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    (root / ".git").mkdir(parents=True)
    write(root, fine="wombat\n", build__made="ignored\n", private="ownrule\n")
    write(root, keys__credentials="password\n", node_modules__lib="foreign\n")
    write(root, excluded="excluded\n", wide="x = 1 # generated" + "x" * 500)
    write(tmp_path, outside="outside\n")
    (root / "binary.py").write_bytes(b"nulbyte\0")
    (root / "latin.py").write_bytes("caf\xe9 latin\n".encode("latin-1"))
    (root / "link.py").symlink_to(tmp_path / "outside.py")
    (root / "linked").symlink_to(tmp_path, target_is_directory=True)
    (root / ".gitignore").write_text("build/\n")
    (root / ".polydraftignore").write_text("private.py\n")
    work = Indexing(root)
    work.run(view_of(opened(root / "main.py"), excludes=lambda path: path.name == "excluded.py"))
    assert set(work.index) == {"main.py", "fine.py"}
    assert work.has("wombat")
    forbidden = ["ignored", "ownrule", "password", "foreign", "excluded", "generated", "outside"]
    assert not any(work.has(word) for word in [*forbidden, "nulbyte", "latin"])
    assert not any(word in text for word in forbidden for text in work.completer.encoded)


def test_an_open_document_that_is_ignored_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("private.py\n")
    work = Indexing(tmp_path)
    documents = [opened(tmp_path / name, f"{name[:-3]}\n") for name in ("private.py", "main.py")]
    work.run(view_of(opened(tmp_path / ".env", "password\n"), *documents))
    assert set(work.index) == {"main.py"}


def test_files_near_the_one_being_edited_come_first(tmp_path: Path) -> None:
    write(tmp_path, a__x="", b__c__y="", b__c__d__z="", b__w="", v="")
    walk = nearest_first(tmp_path, tmp_path / "b" / "c", lambda _: True, lambda _: False)
    found = [path.relative_to(tmp_path).as_posix() for path in walk if path is not None]
    assert found == ["b/c/y.py", "b/c/d/z.py", "b/w.py", "v.py", "a/x.py"]


# --- edits ---


def test_an_edit_takes_the_place_of_what_stood_there_and_closing_brings_the_file_back(
    tmp_path: Path,
) -> None:
    write(tmp_path, main="on_the_disk\n")
    main, other = tmp_path / "main.py", opened(tmp_path / "other.py")
    work = Indexing(tmp_path)
    work.run(view_of(opened(main, "as_opened\n"), other))
    assert (work.has("as_opened"), work.has("on_the_disk")) == (True, False)
    work.run(view_of(opened(main, "as_edited\n", 2), other))
    assert (work.has("as_edited"), work.has("as_opened")) == (True, False)
    work.run(view_of(other))
    assert (work.has("on_the_disk"), work.has("as_edited")) == (True, False)


def test_files_that_changed_are_read_again_and_those_that_are_gone_forgotten(
    tmp_path: Path,
) -> None:
    write(tmp_path, a="first_text\n", b="goes_away\n", c="same_text\n")
    document = opened(tmp_path / "main.py")
    work = Indexing(tmp_path)
    work.run(view_of(document))
    write(tmp_path, a="second_one\n")
    (tmp_path / "b.py").unlink()
    work.completer.encoded.clear()
    work.run(view_of(document, look=2))
    words = ("first_text", "second_one", "goes_away", "same_text")
    assert [work.has(word) for word in words] == [False, True, False, True]
    assert sorted(work.completer.encoded) == ["pass\n", "second_one\n"]


def test_a_file_that_is_ignored_from_now_on_is_forgotten_with_what_was_accepted_in_it(
    tmp_path: Path,
) -> None:
    write(tmp_path, b="wombat\n")
    main, other = opened(tmp_path / "main.py"), opened(tmp_path / "b.py", "wombat\n")
    accepted = (Accepted(1, tmp_path / "b.py", "gibbon"),)
    work = Indexing(tmp_path)
    work.run(view_of(main, other, accepted=accepted))
    assert work.has("wombat") and work.has("gibbon")
    (tmp_path / ".gitignore").write_text("b.py\n")
    work.run(view_of(main, other, accepted=accepted, look=2))
    assert set(work.index) == {"main.py"} and not work.has("wombat") and not work.has("gibbon")


def test_an_accepted_draft_counts_once_more(tmp_path: Path) -> None:
    main = opened(tmp_path / "main.py", "x = wombat()\n")
    work = Indexing(tmp_path)
    accepted = (Accepted(1, tmp_path / "main.py", "x = wombat()"),)
    for _ in range(2):
        work.run(view_of(main, accepted=accepted))
    assert counted(work.index, "wombat") == 2
    assert counted(work.index, "x = w") == 2


# --- slices ---


def test_work_that_is_cut_short_is_taken_up_where_it_was_left(tmp_path: Path) -> None:
    names = [f"file{number}" for number in range(10)]
    write(tmp_path, **{name: f"{name}_word\n" for name in names})
    completer = Interrupted()
    work = Indexing(tmp_path, completer=completer)
    cuts, more, view = 0, True, view_of(opened(tmp_path / "main.py"))
    while more:
        completer.token = CancelToken()
        try:
            more = work.indexer.step(view, completer.token)
        except Cancelled:
            cuts += 1
    assert cuts == 10
    assert completer.encoded == ["pass\n", *(f"{name}_word\n" for name in names)]
    assert all(work.has(f"{name}_word") for name in names)


def test_a_cancel_is_noticed_within_a_large_file(tmp_path: Path) -> None:
    write(tmp_path, large="some_text = 1\n" * 10_000)
    completer = Interrupted()
    work = Indexing(tmp_path, completer=completer)
    with pytest.raises(Cancelled):
        while work.indexer.step(view_of(opened(tmp_path / "main.py")), completer.token):
            pass
    assert sum(map(len, completer.encoded)) < 20_000
    work.run(view_of(opened(tmp_path / "main.py")))
    assert counted(work.index, "some_text") == 10_000


# --- what is kept ---


@pytest.fixture
def store(tmp_path: Path) -> NGramStore:
    return NGramStore(tmp_path / "cache" / "ngrams")


def kept_files(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache" / "ngrams").iterdir())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    write(folder, a="wombat\n", b="gibbon\n", c="ocelot\n")
    return folder


def rerun(root: Path, store: NGramStore, completer: FakeCompleter | None = None) -> Indexing:
    work = Indexing(root, store, completer)
    work.run(view_of(opened(root / "main.py")))
    return work


def test_the_next_run_reads_only_what_changed(root: Path, store: NGramStore) -> None:
    rerun(root, store)
    write(root, b="numbat!\n")
    work = rerun(root, store)
    assert sorted(work.completer.encoded) == ["numbat!\n", "pass\n"]
    words = ("wombat", "numbat", "ocelot", "gibbon")
    assert [work.has(word) for word in words] == [True, True, True, False]


def test_what_is_kept_is_the_users_alone_and_holds_no_unsaved_text(
    root: Path, store: NGramStore, tmp_path: Path
) -> None:
    work = Indexing(root, store)
    main = root / "main.py"
    accepted = (Accepted(1, main, "draft_text"),)
    work.run(view_of(opened(main, "unsaved_text\n"), accepted=accepted))
    assert work.has("unsaved_text") and work.has("draft_text")
    (path,) = kept_files(tmp_path)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    with np.load(path, allow_pickle=False) as file:
        text = "".join(map(chr, file["ids"]))
    assert sorted(text.split()) == ["gibbon", "ocelot", "wombat"]


def test_a_file_ignored_since_is_neither_counted_nor_kept(
    root: Path, store: NGramStore, tmp_path: Path
) -> None:
    rerun(root, store)
    (root / ".gitignore").write_text("b.py\n")
    work = rerun(root, store)
    assert [work.has(word) for word in ("wombat", "gibbon", "ocelot")] == [True, False, True]
    (path,) = kept_files(tmp_path)
    assert b"b.py" not in path.read_bytes()


def test_ids_of_another_tokenizer_or_folder_are_not_used(root: Path, store: NGramStore) -> None:
    rerun(root, store)
    other = rerun(root, store, FakeCompleter(tokenizer_id="other ids"))
    assert "wombat\n" in other.completer.encoded
    moved = root.rename(root.with_name("elsewhere"))
    assert "wombat\n" in rerun(moved, store).completer.encoded


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    at = content.index("wombat".encode("utf-32-le"))
    content[at] ^= 0xFF
    path.write_bytes(content)


def _other_arrays(path: Path) -> None:
    np.savez(path, names=np.zeros(3, np.uint8))


def _lengths_that_do_not_add_up(path: Path) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, "lengths": arrays["lengths"] + 1})


def _pickles(path: Path) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, "ids": np.array([print], dtype=object)})


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no archive at all"),
        *(_truncate, _flip, _other_arrays, _lengths_that_do_not_add_up, _pickles),
    ],
)
def test_a_damaged_file_is_told_in_the_log_and_made_anew(
    root: Path,
    store: NGramStore,
    tmp_path: Path,
    damage: Callable[[Path], object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    rerun(root, store)
    (path,) = kept_files(tmp_path)
    damage(path)
    with caplog.at_level(logging.WARNING):
        work = rerun(root, store)
    assert path.name in caplog.text
    assert work.has("wombat") and "wombat\n" in work.completer.encoded
    assert rerun(root, store).completer.encoded == ["pass\n"]
    assert kept_files(tmp_path) == [path]


def test_the_folder_is_bounded_and_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    def texts() -> dict[str, KnownText]:
        return {"a.py": KnownText((1, 2), np.arange(1000, dtype=np.uint32))}  # about 5 kB

    store = NGramStore(tmp_path, max_bytes=16_000)
    for number, key in enumerate(["first", "second", "third"]):
        store.save(key, texts())
        os.utime(tmp_path / f"{key}.npz", (number, number))
    assert store.load("first")["a.py"].ids.tolist() == list(range(1000))
    store.save("fourth", texts())
    assert {path.stem for path in tmp_path.iterdir()} == {"first", "third", "fourth"}


def test_without_a_place_to_keep_it_the_index_works_all_the_same(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    work = rerun(root, NGramStore(tmp_path / "cache" / "ngrams"))
    assert work.has("wombat")
    assert "could not be kept" in caplog.text


# --- on the worker ---


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_ngrams, "PAUSE", 0.01)


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


async def seen(completer: FakeCompleter, *words: str) -> None:
    """Wait until texts with these words have come to the tokenizer."""

    def all_there(fake: FakeCompleter) -> bool:
        return all(any(word in text for text in fake.encoded) for word in words)

    await asyncio.to_thread(completer.wait_for, all_there)


async def on_the_engine(worker: Worker, index_for: workspace_ngrams.IndexFor, completer) -> object:
    return await asyncio.wrap_future(worker.submit("test", lambda _: index_for(completer)))


async def test_a_folders_index_serves_that_folder_and_that_model_only(
    tmp_path: Path, worker: Worker, no_pause: None
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    write(one, a="wombat\n")
    write(two, a="gibbon\n")
    completer = FakeCompleter()

    def view(root: Path, look: int, accepted: Sequence[Accepted]) -> View:
        return view_of(opened(root / "main.py"), look=look, accepted=tuple(accepted))

    ngrams = WorkspaceNGrams(worker, Surroundings().is_excluded, None, lambda root: completer, view)
    for root in (one, two):
        ngrams.touch(root)
    await seen(completer, "wombat", "gibbon")
    for root, words in ((one, (1, 0)), (two, (0, 1))):
        index = await on_the_engine(worker, ngrams.index_for(root), completer)
        assert (counted(index, "wombat"), counted(index, "gibbon")) == words
    assert await on_the_engine(worker, ngrams.index_for(one), FakeCompleter()) is None
    assert ngrams.index_for(None)(completer) is None
    ngrams.keep_only([one])
    assert ngrams.index_for(two)(completer) is None
    ngrams.forget()
    assert ngrams.index_for(one)(completer) is None
    ngrams.close()


def edit(editor: Editor, path: Path, text: str, version: int) -> None:
    editor.client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            types.VersionedTextDocumentIdentifier(version=version, uri=path.as_uri()),
            [types.TextDocumentContentChangeWholeDocument(text)],
        )
    )


async def test_an_edit_of_an_open_document_reaches_the_model_and_an_ignored_file_does_not(
    tmp_path: Path, no_pause: None
) -> None:
    write(tmp_path, private="password\n", zebra="striped\n")
    (tmp_path / ".gitignore").write_text("private.py\nscratch.py\n")
    provider, main = FakeProvider(), tmp_path / "main.py"
    how = {"is_excluded": Surroundings().is_excluded, "root": tmp_path}
    async with editing(provider, **how) as editor:
        editor.open("draft_key\n", uri=(tmp_path / "scratch.py").as_uri())
        editor.open("as_opened\n", uri=main.as_uri())
        await seen(provider.completer, "as_opened", "striped")
        edit(editor, main, "as_edited\n", 2)
        await seen(provider.completer, "as_edited")
        await editor.inline(1, 0, uri=main.as_uri())
        index = provider.completer.workspaces[-1]
        words = ("as_edited", "striped", "as_opened", "password", "draft_key")
        assert [counted(index, word) for word in words] == [1, 1, 0, 0, 0]
        encoded = "".join(provider.completer.encoded)
        assert "password" not in encoded and "draft_key" not in encoded


async def test_a_draft_that_the_editor_says_was_accepted_counts_once_more(
    tmp_path: Path, no_pause: None
) -> None:
    provider = FakeProvider(FakeCompleter(write=lambda request: ["wombat()", "gibbon()"]))
    main = tmp_path / "main.py"
    async with editing(provider, root=tmp_path) as editor:
        editor.open("import os\nx = \n", uri=main.as_uri())
        items = (await editor.ask(1, 4, uri=main.as_uri())).items  # type: ignore[union-attr]
        command = items[1].command
        edit(editor, main, "import os\nx = gibbon()\n", 2)
        for arguments in (command.arguments, ["no such draft"], command.arguments, None):
            await editor.client.workspace_execute_command_async(
                types.ExecuteCommandParams(command.command, arguments)
            )
        await seen(provider.completer, "import os\nx = gibbon()")
        await asyncio.to_thread(provider.completer.wait_for, lambda f: "x = gibbon()" in f.encoded)
        await editor.inline(2, 0, uri=main.as_uri())
        assert counted(provider.completer.workspaces[-1], "x = gibbon()") == 2
        assert provider.completer.encoded.count("x = gibbon()") == 1


async def test_a_document_outside_of_any_workspace_has_no_index(no_pause: None) -> None:
    provider = FakeProvider()
    async with editing(provider, text="x = ") as editor:
        await editor.inline(0, 4)
        assert provider.completer.workspaces == [None]
        assert provider.completer.encoded == []
