"""Finished drafts with errors that others do not have rank behind them, with the reason."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from scripted import Scripted

from polydraft.completion.types import Request
from polydraft.monitors.analysis import Problem, Question
from polydraft.monitors.broker import Broker
from polydraft.monitors.spot import Page
from polydraft.monitors.verdict import breaks_syntax, judged
from tests.fakes import draft


@dataclass
class Strict(Scripted):
    """Complains of each occurrence of some words."""

    words: Mapping[str, str] = ()  # type: ignore[assignment]

    def problems(self, question: Question, timeout: float) -> tuple[Problem, ...]:
        self.asked.append(question)
        if self.gate is not None:
            assert self.gate.wait(10)
        text = question.buffer.text
        return tuple(
            Problem(text.index(word), text.index(word) + len(word), message)
            for word, message in self.words.items()
            if word in text
        )


def looked_at(texts, words, prefix="x = a.", suffix="\n", language="python", **how):
    request = Request(prefix, suffix, language=language)
    page = Page("/x.py", language, prefix, suffix)
    broker = Broker(Strict(words=words, **how), lambda message: None)
    found = judged([draft(text) for text in texts], request, page, broker, lambda: None)
    return [(each.text, each.problems) for each in found]


def test_an_error_that_others_do_not_have_ranks_lower_and_the_rest_keeps_its_order():
    found = looked_at(["bad()", "good()", "fine()"], {"bad": "No such member."})
    assert found == [("good()", ()), ("fine()", ()), ("bad()", ("No such member.",))]


def test_what_all_have_in_common_is_nobody_s_fault():
    found = looked_at(["bad(1)", "bad(2)"], {"bad": "No such member."})
    assert found == [("bad(1)", ()), ("bad(2)", ())]


def test_what_stood_there_before_does_not_count():
    found = looked_at(["good()", "fine()"], {"old": "Old."}, prefix="old\nx = a.")
    assert [problems for _, problems in found] == [(), ()]


def test_a_syntax_error_counts_without_an_analyser():
    request = Request("x = ", "\n", language="python")
    page = Page("/x.py", "python", "x = ", "\n")
    found = judged([draft("f((1)"), draft("f(1)")], request, page, None, lambda: None)
    assert [each.text for each in found] == ["f(1)", "f((1)"]
    assert found[1].problems == ("The file would have a syntax error.",)


def test_a_draft_breaks_syntax_only_where_the_file_was_better_without_it():
    for prefix, text, breaks in [
        ("x = 1\nretu", "rnd min(y)", True),  # one name behind another
        ("x = 1\nretu", "rn_value", False),
        ("x = ", "f(1)", False),  # was broken before
        ("def f(:\n    pass\nx = ", "1", False),
        ("def f(:\n    pass\nx = 1\ny", " = = 2", True),
    ]:
        request = Request(prefix, "\n", language="python")
        assert breaks_syntax(draft(text), request) == breaks, (prefix, text)


def test_one_draft_is_nobody_s_rival_and_nobody_is_asked():
    assert looked_at(["bad()"], {"bad": "No such member."}) == [("bad()", ())]


def test_an_analyser_that_is_late_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("polydraft.monitors.broker.PATIENCE", 0.01)
    gate = threading.Event()
    found = looked_at(["bad()", "good()"], {"bad": "No."}, gate=gate)
    assert found == [("bad()", ()), ("good()", ())]
    gate.set()
