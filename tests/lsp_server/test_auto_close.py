from __future__ import annotations

from polydraft.lsp_server.auto_close import before_closers, holds, may_close
from tests.fakes import draft


def test_an_editor_closes_what_is_open_innermost_first() -> None:
    rows = [
        ("f(", ")", True),
        ("f([", "])", True),
        ("f([", ")]", False),
        ("f(a)", ")", False),
        ("(\n  f(", ")", True),  # the outer one was left open
        ('["', '"]', True),
        ('f("[x', '")', True),  # in strings some editors close nothing
        ("f", "", True),
        ("f", ")", False),
    ]
    assert [may_close(typed, added) for typed, added, _ in rows] == [may for *_, may in rows]


def test_a_draft_made_without_the_closers_replaces_what_it_closes_itself() -> None:
    assert before_closers(draft("a, b)"), ")") == draft("a, b)", replace=1)
    assert before_closers(draft("a])", replace=1), "])") == draft("a])", replace=3)
    assert before_closers(draft("a"), "") == draft("a")


def test_a_draft_that_closes_nothing_goes_in_between_and_half_a_close_is_dropped() -> None:
    assert before_closers(draft("a, b"), ")") == draft("a, b")
    assert before_closers(draft("a]"), "])") is None
    assert before_closers(draft("a", replace=1), ")") is None


def test_text_holds_closers_in_their_order() -> None:
    assert holds("a])", "])") and not holds("a)]", "])") and holds("", "")
