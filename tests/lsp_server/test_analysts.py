"""A client's analysers: which is made for whom, what it is told, what is said of its absence."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from lsprotocol import types

from polydraft.lsp_server.analysts import Analysts
from polydraft.lsp_server.documents import Document
from polydraft.lsp_server.settings import Settings
from polydraft.monitors.analysis import (
    Analyser,
    AnalyserError,
    AnalyserSettings,
    Changed,
    Names,
    Question,
)
from polydraft.monitors.monitoring import DocumentMonitoring
from polydraft.monitors.vocabularies import Vocabularies
from tests.fakes import FakeProvider
from tests.lsp_server.harness import PATIENCE, editing
from tests.monitors.scripted import Scripted, opened


class Maker:
    """Makes scripted analysers, or fails; `made` is what it was asked for."""

    def __init__(
        self, table: dict[str, Names] | None = None, error: AnalyserError | None = None
    ) -> None:
        self._table = table or {}
        self.made: list[tuple[str, AnalyserSettings]] = []
        self.analysers: list[Scripted] = []
        self._error = error

    def __call__(self, name: str, settings: AnalyserSettings) -> Analyser | None:
        self.made.append((name, settings))
        if self._error is not None:
            raise self._error
        self.analysers.append(Scripted(self._table))
        return self.analysers[-1]


@pytest.fixture
def said() -> list[str]:
    return []


def analysts(maker: Maker, said: list[str], trusted: bool = False) -> Analysts:
    made = Analysts(maker, Vocabularies(), said.append)
    made.trusted = trusted
    return made


def document(path: Path | None, language: str = "python", text: str = "x\n") -> Document:
    return Document(f"file://{path}", text, 1, language, path)


def test_a_folder_has_one_analyser_for_a_language(tmp_path, said):
    maker = Maker()
    made = analysts(maker, said)
    for name in ("a.py", "b.py"):
        found = made.monitoring(document(tmp_path / name), tmp_path, Settings(), ())
        assert isinstance(found, DocumentMonitoring) and found.path == str(tmp_path / name)
        assert found.broker is not None
    made.monitoring(document(tmp_path / "other" / "a.py"), tmp_path / "other", Settings(), ())
    roots = [settings.root for _, settings in maker.made]
    assert roots == [str(tmp_path), str(tmp_path / "other")]
    made.close()
    assert all(each.closed for each in maker.analysers)


def test_settings_choose_the_analyser_and_the_monitors(tmp_path, said):
    maker = Maker()
    made = analysts(maker, said)
    here = document(tmp_path / "a.py")
    assert made.monitoring(here, tmp_path, Settings(monitors=()), ()) is None
    none = made.monitoring(here, tmp_path, Settings(analysers=(("python", "none"),)), ())
    assert isinstance(none, DocumentMonitoring) and none.broker is None
    assert maker.made == []
    chosen = Settings(analysers=(("python", "pyrefly"),), monitors=("calls",), strictness="soft")
    found = made.monitoring(here, tmp_path, chosen, ())
    assert isinstance(found, DocumentMonitoring)
    assert found.rules == ("calls",) and not found.strictness.hard
    assert [name for name, _ in maker.made] == ["pyrefly"]
    made.close()


def test_one_that_is_missing_is_told_once_and_drafts_go_on(tmp_path, said):
    made = analysts(Maker(error=AnalyserError("Not installed.")), said)
    for _ in range(3):
        found = made.monitoring(document(tmp_path / "a.py"), tmp_path, Settings(), ())
        assert isinstance(found, DocumentMonitoring) and found.broker is None
    assert len(said) == 1 and said[0].startswith("Not installed. ")


def test_other_open_documents_of_the_language_are_told_as_they_are(tmp_path, said):
    made = analysts(Maker(), said)
    here = document(tmp_path / "a.py")
    others = [
        here,
        document(tmp_path / "b.py", text="unsaved\r\n"),
        document(tmp_path / "c.rs", "rust"),
        document(None),
        document(tmp_path / "d.py", text="\0"),
    ]
    found = made.monitoring(here, tmp_path, Settings(), others)
    assert isinstance(found, DocumentMonitoring)
    assert [(each.path, each.text) for each in found.others] == [
        (str(tmp_path / "b.py"), "unsaved\n")
    ]
    made.close()


def test_trust_and_the_environment_are_passed_on(tmp_path, said, monkeypatch):
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    for trusted in (False, True):
        maker = Maker()
        made = analysts(maker, said, trusted)
        made.monitoring(document(tmp_path / "a.py"), tmp_path, Settings(), ())
        (_, settings) = maker.made[0]
        assert settings.trusted == trusted
        assert settings.python == (str(python) if trusted else "")
        made.close()


def test_an_opened_document_warms_its_analyser_and_a_closed_folder_ends_it(tmp_path, said):
    maker = Maker()
    made = analysts(maker, said)
    made.warm(document(tmp_path / "a.py"), tmp_path, Settings())
    (analyser,) = maker.analysers
    analyst = made._analysts[tmp_path, "ty"]
    assert analyst is not None
    for answer in list(analyst.broker._answers.values()):
        assert answer.done.wait(PATIENCE)
    assert [each.buffer.text for each in analyser.asked] == ["x\n"]
    made.keep_only([])
    assert analyser.closed
    made.close()


def test_a_file_outside_of_all_folders_is_analysed_where_it_lies(tmp_path, said):
    maker = Maker()
    made = analysts(maker, said)
    made.monitoring(document(tmp_path / "a.py"), None, Settings(), ())
    assert maker.made[0][1].root == str(tmp_path)
    untitled = made.monitoring(document(None), None, Settings(), ())
    assert isinstance(untitled, DocumentMonitoring) and untitled.broker is None
    made.close()


class Noted(Scripted):
    """Tells of each question that it gets."""

    def __init__(self) -> None:
        super().__init__({})
        self.heads: asyncio.Queue[str] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def names(self, question: Question, timeout: float) -> Names:
        head = question.buffer.text[: question.offset]
        self._loop.call_soon_threadsafe(self.heads.put_nowait, head)
        return super().names(question, timeout)


async def test_behind_an_operator_the_analyser_is_asked_before_drafts_are() -> None:
    noted = Noted()
    provider = FakeProvider()
    async with editing(provider, text="x = 1\ny", make_analyser=lambda *_: noted) as editor:

        async def asked() -> str:
            return await asyncio.wait_for(noted.heads.get(), PATIENCE)

        assert await asked() == ""  # the document was opened
        editor.insert(1, 1, " = x")
        editor.insert(1, 5, ".", version=3)
        assert await asked() == "x = 1\ny = x."
        editor.insert(1, 6, "re", version=4)
        editor.insert(1, 8, "()\n# z.", version=5)  # in a comment nothing is asked
        editor.insert(0, 5, " + x.", version=6)
        assert await asked() == "x = 1 + x."
        assert noted.heads.empty() and not provider.completer.requests


async def test_the_analyser_hears_of_sources_that_change_on_disk(tmp_path: Path) -> None:
    noted = Noted()
    uri = (tmp_path / "new.py").as_uri()
    async with editing(
        FakeProvider(), root=tmp_path, watch=True, make_analyser=lambda *_: noted
    ) as editor:
        await editor.until(lambda: editor.registered)
        (globs,) = [each.register_options for each in editor.registered if each.register_options]
        assert any("py,pyi" in each["globPattern"] for each in globs["watchers"])
        editor.open("x = 1\n", uri=uri)
        assert await asyncio.wait_for(noted.heads.get(), PATIENCE) == ""

        async def heard(*expected: tuple[str, Changed]) -> None:
            """Before the next question, which another document that is opened makes."""
            noted.heard.clear()
            other = (tmp_path / f"{uuid4()}.py").as_uri()
            editor.open("y = 1\n", uri=other)
            await asyncio.wait_for(noted.heads.get(), PATIENCE)
            assert [(each.path, each.how) for each in noted.heard] == [
                (str(tmp_path / name), how) for name, how in expected
            ]

        def save() -> None:
            editor.client.text_document_did_save(
                types.DidSaveTextDocumentParams(types.TextDocumentIdentifier(uri))
            )

        save()
        save()
        await heard(("new.py", Changed.CREATED), ("new.py", Changed.CHANGED))
        events = [
            types.FileEvent((tmp_path / name).as_uri(), types.FileChangeType.Deleted)
            for name in ("gone.py", "notes.txt")
        ]
        editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams(events))
        await heard(("gone.py", Changed.DELETED))


def test_the_penalty_of_names_that_are_not_listed_follows_what_the_user_writes(
    tmp_path, said
) -> None:
    maker = Maker({"": opened("known")})
    made, path = analysts(maker, said), tmp_path / "a.py"

    def penalty() -> float:
        found = made.monitoring(document(path), tmp_path, Settings(), ())
        assert isinstance(found, DocumentMonitoring)
        return found.strictness.penalty

    def write(*names: str) -> None:
        text = ""
        for name in (*names, "end"):
            text += "x = a."
            made.typed(document(path, text=text), len(text), tmp_path, Settings(), ())
            (analyst,) = made._analysts.values()
            assert analyst is not None
            for answer in list(analyst.broker._answers.values()):
                assert answer.done.wait(PATIENCE)
            text += f"{name}\n"

    assert penalty() == pytest.approx(5.0)
    write("known", "known", "known")
    assert penalty() > 5.0
    write(*(f"new_{number}" for number in range(12)))
    assert penalty() < 3.0
    made.close()
