"""jedi in its worker process, for real: what it knows, its grades, and what goes wrong."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from polydraft.monitors.analysers.catalogue import jedi
from polydraft.monitors.analysers.worker_analyser import WorkerAnalyser
from polydraft.monitors.analysis import (
    AnalyserError,
    AnalyserSettings,
    Buffer,
    Grade,
    How,
    Kind,
    Name,
    Names,
    Parameter,
    Question,
    Starting,
)


@pytest.fixture
def analyser(tmp_path: Path) -> Iterator[WorkerAnalyser]:
    made = jedi(AnalyserSettings(str(tmp_path)))
    yield made
    made.close()


def question(marked: str, path: str = "", others: tuple[Buffer, ...] = ()) -> Question:
    before, _, after = marked.partition("|")
    return Question(Buffer(path, "python", before + after), len(before), others)


def texts(names: Names) -> set[str]:
    return {name.text for name in names.names}


@pytest.mark.parametrize(
    ("marked", "name", "grade"),
    [
        ("import os\nos.|", "getcwd", Grade.CLOSED),
        ("''.|", "split", Grade.CLOSED),
        ("class A:\n  def f(self):\n    self.x = 1\n    self.|\n", "x", Grade.CLOSED),
        ("import enum\nclass E(enum.Enum):\n  RED = 1\nE.|", "RED", Grade.CLOSED),
        ("def f(a: str):\n    a.|\n", "split", Grade.CLOSED),
        ("from os import |", "getcwd", Grade.CLOSED),
        ("class A(Unknown):\n  def f(self):\n    self.x = 1\n    self.|\n", "x", Grade.OPEN),
        ("class AMixin:\n  def f(self):\n    self.x = 1\n    self.|\n", "x", Grade.OPEN),
        ("class A:\n  x = 1\n  def __getattr__(self, n): ...\nA().|", "x", Grade.OPEN),
        ("def f(a=''):\n    a.|\n", "split", Grade.OPEN),
        ("value = 1\nval|", "value", Grade.OPEN),
        ('d = {"content-type": 1}\nprint(d["|"])', "content-type", Grade.OPEN),
    ],
)
def test_names_and_what_they_are_worth(analyser, marked, name, grade):
    found = analyser.names(question(marked), 30)
    assert name in texts(found)
    assert found.grade is grade


@pytest.mark.parametrize("marked", ["x = foo\nx.|", "def f(a):\n  a.|", "def f(a=None):\n  a.|"])
def test_what_it_does_not_know_it_says_nothing_of(analyser, marked):
    assert analyser.names(question(marked), 30).grade is Grade.UNKNOWN


def test_arguments_by_name_and_signatures(analyser):
    text = "def f(a, b=2, *rest, c, d: int = 3, **more): pass\nf(|)"
    arguments = {
        n.text for n in analyser.names(question(text), 30).names if n.kind is Kind.ARGUMENT
    }
    assert arguments == {"a", "b", "c", "d"}
    (signature,) = analyser.signatures(question(text), 30)
    assert signature.parameters == (
        Parameter("a"),
        Parameter("b", How.EITHER, False),
        Parameter("rest", How.MORE, False),
        Parameter("c", How.KEYWORD, True),
        Parameter("d", How.KEYWORD, False),
        Parameter("more", How.ANY_KEYWORD, False),
    )
    method = "class A:\n  def f(self, x): ...\nA().f(|)"
    assert analyser.signatures(question(method), 30)[0].parameters == (Parameter("x"),)
    assert analyser.signatures(question("nobody(|)"), 30) == ()


def test_kinds(analyser):
    text = "import os\nclass A: ...\ndef f(): ...\nvalue = 1\n|"
    names = set(analyser.names(question(text), 30).names)
    assert {Name("A", Kind.CLASS), Name("f", Kind.FUNCTION), Name("value")} <= names


def test_unsaved_text_of_another_document_counts_at_once_and_no_longer_than_it_is_open(
    analyser, tmp_path
):
    (tmp_path / "other.py").write_text("class B:\n    def __init__(self): self.saved = 1\n")
    path, other = str(tmp_path / "main.py"), str(tmp_path / "other.py")

    def asked(*others: Buffer) -> set[str]:
        return texts(analyser.names(question("from other import B\nB().|", path, others), 30))

    assert "saved" in asked()
    for name in ("fresh", "fresher"):
        text = f"class B:\n    def __init__(self): self.{name} = 1\n"
        found = asked(Buffer(other, "python", text))
        assert name in found and "saved" not in found
    assert "saved" in asked() and "fresher" not in asked()
    made = Buffer(str(tmp_path / "made.py"), "python", "import other\nC = other.B\n")
    assert "saved" in texts(
        analyser.names(question("from made import C\nC().|", path, (made,)), 30)
    )


def test_the_workspaces_interpreter_runs_only_if_it_is_trusted(tmp_path):
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\ntouch {tmp_path}/ran\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    for trusted in (False, True):
        analyser = jedi(AnalyserSettings(str(tmp_path), str(script), trusted))
        assert "split" in texts(analyser.names(question("''.|"), 30))
        analyser.close()
        assert (tmp_path / "ran").exists() == trusted


def test_without_trust_only_the_workspace_and_the_standard_library_are_known(analyser, tmp_path):
    assert analyser.names(question("import numpy\nnumpy.|"), 30).grade is Grade.UNKNOWN
    (tmp_path / "mine.py").write_text("thing = 1\n")
    found = analyser.names(question("import mine\nmine.|", str(tmp_path / "x.py")), 30)
    assert "thing" in texts(found)


def test_one_that_is_killed_says_so_and_starts_anew(analyser):
    analyser.names(question("''.|"), 30)
    pid = analyser._process.current.pid
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(AnalyserError, match="ended"):
        analyser.names(question("''.|"), 30)
    assert "split" in texts(analyser.names(question("''.|"), 30))


def test_one_that_hangs_is_ended_and_starts_anew(analyser):
    analyser.names(question("''.|"), 30)
    pid = analyser._process.current.pid
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(AnalyserError, match="did not answer within"):
        analyser.names(question("''.|"), 0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)  # no zombie either
    assert "split" in texts(analyser.names(question("''.|"), 30))


def test_one_that_has_just_been_started_is_given_time(analyser):
    with pytest.raises(Starting):
        analyser.names(question("''.|"), 0.0)
    deadline = time.monotonic() + 30
    while True:
        try:
            found = analyser.names(question("[].|"), 10)  # not the first one's answer
            break
        except Starting:
            assert time.monotonic() < deadline
    assert "append" in texts(found)


def test_nonsense_is_called_so(tmp_path, monkeypatch):
    analyser = jedi(AnalyserSettings(str(tmp_path)))
    analyser._command = ["/bin/sh", "-c", "echo nonsense; cat > /dev/null"]
    with pytest.raises(AnalyserError, match="nonsense"):
        analyser.names(question("''.|"), 30)
    analyser._command = ["/nowhere/at/all"]
    with pytest.raises(AnalyserError, match="could not be started"):
        analyser.names(question("''.|"), 30)
    analyser.close()


def test_one_that_takes_too_much_memory_is_started_anew(analyser, monkeypatch):
    monkeypatch.setattr("polydraft.monitors.analysers.worker_analyser._MEMORY", 1)
    assert "split" in texts(analyser.names(question("''.|"), 30))
    assert analyser._process.current is None
    assert "split" in texts(analyser.names(question("''.|"), 30))


def test_closing_ends_the_process_and_may_be_done_again(analyser):
    analyser.names(question("''.|"), 30)
    pid = analyser._process.current.pid
    analyser.close()
    analyser.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(AnalyserError, match="closed"):
        analyser.names(question("''.|"), 30)
