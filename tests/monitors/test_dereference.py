"""Members by grades: what may come behind an operator, before one, and in the middle of a name."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import rules
from hypothesis import given, settings
from hypothesis import strategies as st
from rules import IMPOSSIBLE
from scripted import Pieces, Scripted, closed, opened

from polydraft.completion.monitor import Constraint
from polydraft.completion.types import Request
from polydraft.monitors.analysis import Buffer, Grade, Name, Names
from polydraft.monitors.broker import Broker
from polydraft.monitors.monitoring import DocumentMonitoring
from polydraft.monitors.vocabularies import Vocabularies

PIECES = Pieces(
    [
        *(
            b"get",
            b"get(",
            b"gets",
            b"ge",
            b"t",
            b"s",
            b"put",
            b"own",
            b"other",
            b"new",
            b"x",
            b"1",
        ),
        *(
            b".",
            b".get",
            b".put",
            b".new",
            b".get.",
            b"(",
            b")",
            b" ",
            b"\n",
            b"'",
            b"#",
            b"a",
            b"=",
        ),
        *(b"gr\xc3", b"\xb6\xc3\x9fe", b"gr\xc3\xb6\xc3\x9fe", b"self", b"->", b"->get", b"::put"),
    ]
)


class Case(rules.Case):
    """The rule over the pieces above; the model would write `x` if nothing else is said."""

    def __init__(self, marked: str, table: dict[str, Names], **how: Any) -> None:
        super().__init__("dereference", marked, PIECES, table, **how)

    def constraint(self, *draft: str, likely: str | None = "x") -> Constraint:
        return super().constraint(*draft, likely=likely)

    def lost(self, *draft: str, likely: str | None = "x") -> dict[str, float]:
        return super().lost(*draft, likely=likely)


def test_behind_a_closed_receiver_only_its_names_begin():
    lost = Case("x = a.|", {"a.": closed("get", "put")}).lost()
    assert all(piece not in lost for piece in ["get", "get(", "put"])
    assert all(
        lost[piece] == IMPOSSIBLE for piece in ["ge", "gets", "own", "new", "(", ".", " ", "<end>"]
    )


def test_what_the_file_knows_as_a_member_of_something_else_is_possible_but_loses():
    lost = Case("b.own\nx = a.|\n", {"a.": closed("get")}).lost()
    assert 0 < lost["own"] < IMPOSSIBLE
    assert lost["new"] == IMPOSSIBLE


def test_what_the_file_or_the_draft_has_behind_the_same_receiver_counts_as_a_member():
    case = Case("a.own\nx = a.|\na.other\n", {"a.": closed("get")})
    lost = case.lost()
    assert "own" not in lost and "other" not in lost and lost["new"] == IMPOSSIBLE
    lost = case.lost("get", "\n", "a", ".new", "=", "1", "\n", "x", "=", "a", ".")
    assert "new" not in lost and lost["put"] == IMPOSSIBLE


def test_an_open_answer_makes_nothing_impossible():
    lost = Case("x = a.|", {"a.": opened("get")}).lost()
    assert "get" not in lost
    assert 0 < lost["new"] < IMPOSSIBLE


@pytest.mark.parametrize("line", ["self.|", "    a.|", "self.own, self.|"])
def test_where_an_assignment_may_make_a_member_nothing_is_impossible(line):
    lost = Case(f"x\n{line}", {"self.": closed("get"), "a.": closed("get")}).lost()
    assert "get" not in lost
    assert 0 < lost["new"] < IMPOSSIBLE


def test_an_analyser_that_knows_nothing_constrains_nothing():
    unknown = Names((Name("__eq__"),), Grade.UNKNOWN)
    assert Case("x = a.|", {"a.": unknown}).constraint() == Constraint()
    assert Case("x = a.|", {}).constraint() == Constraint()


@pytest.mark.parametrize(
    "marked", ["x = |", "x = 1.|", "x = ..|", "from a.|", "import a.|", "'a.|", "# a.|", "return.|"]
)
def test_where_no_member_is_taken_nobody_is_asked(marked):
    case = Case(marked, {"": closed("get")})
    assert case.constraint() == Constraint()
    assert not case.analyser.asked


def test_a_name_goes_on_as_it_began_and_then_everything_may_come_that_ends_it():
    case = Case("x = a.g|", {"a.": closed("get", "gets")})
    assert case.lost("ge") == {}  # nothing begins like this
    case = Case("x = a.|", {"a.": closed("get", "gets")})
    lost = case.lost("ge")
    assert "t" not in lost and lost["s"] == IMPOSSIBLE and lost["("] == IMPOSSIBLE
    lost = case.lost("get")
    assert all(piece not in lost for piece in ["s", "(", ".", " ", "<end>"])
    assert lost["t"] == lost["x"] == lost["1"] == IMPOSSIBLE


def test_who_types_a_name_that_is_not_known_is_not_hindered():
    assert Case("x = a.unknown|", {"a.": closed("get")}).constraint() == Constraint()


def test_characters_of_several_bytes_may_be_cut():
    case = Case("x = a.|", {"a.": closed("größe")})
    state = case.monitor.begin()
    state = case.monitor.observe(state, PIECES.ids("gr\udcc3")[0])
    (mask, *_) = case.monitor.constrain(state, lambda: ()).masks
    assert mask.tokens.tolist() == [PIECES.ids("\udcb6ße")[0]]


def test_tokens_that_hold_the_operator_are_banned_by_the_name_behind_it():
    case = Case("x = a|", {"a.": closed("get")})
    lost = case.lost(likely=".get")
    assert set(lost) == {".put", ".new"}
    assert lost[".put"] == IMPOSSIBLE
    assert case.lost(likely="x") == {}  # the model would not take a member


def test_the_cursor_in_the_middle_of_a_name():
    lost = Case("x = a.|ts(1)", {"a.": closed("gets")}).lost()
    assert "ge" not in lost and "gets" not in lost and lost["put"] == IMPOSSIBLE
    lost = Case("x = a.|ts(1)", {"a.": closed("gets")}).lost("ge")
    assert "<end>" not in lost and "t" not in lost


def test_operators_of_other_languages():
    table = {"a->": closed("get"), "B::": closed("put")}
    case = Case("int x = a|", table, language="cpp")
    assert case.lost(likely="->get") == {}
    assert Case("int x = B|", table, language="cpp").lost(likely="::put") == {}
    assert Case("int x = a->|", table, language="cpp").lost()["put"] == IMPOSSIBLE


def test_the_plain_mask_takes_the_analyser_at_its_word():
    lost = Case("a.own\nself.|", {"self.": opened("get")}, strictness="plain").lost()
    assert lost["own"] == lost["new"] == IMPOSSIBLE and "get" not in lost
    lost = Case("a.own\nx = a.|", {"a.": closed("get")}, strictness="soft").lost()
    assert max(lost.values()) < IMPOSSIBLE


def test_an_answer_that_is_late_is_said_to_be_so_and_holds_when_it_comes(monkeypatch):
    monkeypatch.setattr("polydraft.monitors.broker.PATIENCE", 0.01)
    case = Case("x = a.|", {"a.": closed("get")}, gate=threading.Event())
    assert case.constraint() == Constraint(late=True)
    case.analyser.gate.set()
    while not case.constraint().masks:
        pass
    assert case.lost()["put"] == IMPOSSIBLE


def test_one_question_serves_drafts_lines_and_letters_that_do_not_bear_on_it():
    case = Case("x = a.|", {"a.": closed("get", "put"), "x.": closed("own")})
    case.constraint()
    case.constraint("get")
    case.constraint("put", "(", "1", ")", "\n", "1", "\n", "a", ".")
    assert len(case.analyser.asked) == 1
    case.constraint("get", "\n", "a", "=", "1", "\n", "a", ".")  # it is something else now
    assert len(case.analyser.asked) == 2


def test_what_is_asked_has_its_brackets_closed_and_the_file_below():
    case = Case("f(g[1], {\n    x = a|)\nrest\n", {})
    case.constraint(".", likely=".")
    (question,) = case.analyser.asked
    assert question.buffer.text == "f(g[1], {\n    x = a.;})\nrest\n"
    assert question.offset == len("f(g[1], {\n    x = a.")


def test_analyses_begin_before_they_are_needed():
    case = Case("a.get\nx = a|", {"a.": closed("get")})
    case.monitor.foresee(case.monitor.begin())  # the file has an operator behind it
    for answer in list(case.broker._answers.values()):
        assert answer.done.wait(10)
    assert len(case.analyser.asked) == 1
    assert case.constraint(".").masks and len(case.analyser.asked) == 1


OTHERS_SELF = """\
class A:
    def f(self):
        self.other = 1


class B:
    '''B.'''

    def g(self):
        self.own = (
            1
        )

    def h(self):
        x = self.|

    def later(self):
        return self.put


class C:
    def f(self):
        self.new = 2
"""


def test_of_ones_own_instance_only_the_class_around_counts():
    case = Case(OTHERS_SELF, {"self.": opened("get")})
    (mask,) = case.constraint().masks
    lost = {
        piece for piece in ("get", "own", "put", "other", "new") if mask.loses(PIECES.ids(piece)[0])
    }
    assert lost == {"other", "new"}
    outside = Case(
        OTHERS_SELF.replace("        x = self.|", "x = 1").replace(
            "class C:", "x = self.|\nclass C:"
        ),
        {"self.": opened("get")},
    )
    (mask,) = outside.constraint().masks
    assert not mask.loses(PIECES.ids("own")[0]) and not mask.loses(PIECES.ids("new")[0])


def test_what_was_asked_as_the_operator_was_typed_is_not_asked_again():
    before, after = "b = 1\nx = a.", "\n"
    analyser = Scripted({"a.": closed("get")})
    broker = Broker(analyser, lambda message: None)
    monitoring = DocumentMonitoring("/x.py", Vocabularies(), broker)
    monitoring.typed(before, after, "python")
    for answer in list(broker._answers.values()):
        assert answer.done.wait(10)
    for held_back in ("", ".", "a."):
        request = Request(before, after, language="python")
        monitor = monitoring.monitor(request, PIECES, held_back, lambda: None)
        assert monitor is not None
        state = monitor.begin()
        for index in PIECES.ids(*held_back):
            state = monitor.observe(state, index)
        assert monitor.constrain(state, lambda: range(len(PIECES))).masks
    assert len(analyser.asked) == 1
    monitoring.typed("b = 1\nx = a", after, "python")
    monitoring.typed("b = 'a.", after, "python")
    assert len(broker._answers) == 1


@pytest.mark.parametrize(
    ("marked", "watched"),
    [
        ("bool A::|", False),
        ("const std::vector<int>& ns::A::|", False),
        ("  x = A::|", True),
        ("int x = A::|", True),
        ("void f() { A::|", True),
        ("  A::|", True),
    ],
)
def test_what_a_member_is_defined_behind_is_left_alone(marked, watched):
    case = Case(marked, {"": closed("get")}, language="cpp")
    assert bool(case.constraint().masks) is watched


def test_the_editors_other_documents_are_seen():
    analyser = Scripted({})
    broker = Broker(analyser, lambda message: None)
    others = (Buffer("/y.py", "python", "class A: pass\n"),)
    monitoring = DocumentMonitoring("/x.py", Vocabularies(), broker, others)
    monitor = monitoring.monitor(Request("a.", "", language="python"), PIECES, "", lambda: None)
    assert monitor is not None
    monitor.constrain(monitor.begin(), lambda: ())
    assert analyser.asked[0].others == others


draft_pieces = st.lists(
    st.sampled_from(["get", "a", ".", "(", ")", "\n", "x", "put", " "]), max_size=8
)


@settings(max_examples=200, deadline=None)
@given(draft_pieces)
def test_a_plain_mask_is_the_papers_definition_read_token_by_token(draft):
    """Behind `receiver.part`, a token is possible if it begins what is left of a name, or runs past
    its end with a character that ends it (section 3.2); elsewhere all are."""
    names = {"get", "gets", "put"}
    case = Case("x = |", {".": closed(*names)}, strictness="plain")
    text = "".join(draft)
    constraint = case.constraint(*draft)
    left = _left(text, names)
    if left is None:
        assert constraint == Constraint()
        return
    possible = {
        index
        for index in range(len(PIECES))
        if any(_fits(PIECES.token_bytes(index), rest.encode(), index) for rest in left)
    }
    (mask,) = constraint.masks or (None,)
    assert (set(mask.tokens.tolist()) if mask is not None else set()) == possible


def _left(text: str, names: set[str]) -> list[str] | None:
    """What may be left of a name at the end of a draft; None where no member is taken."""
    before, dot, typed = text.rpartition(".")
    taken = before.endswith(("get", "a", "x", "put")) or _closes(before)
    if not dot or not taken or any(not char.isalnum() for char in typed):
        return None
    return [name[len(typed) :] for name in names if name.startswith(typed)]


def _closes(text: str) -> bool:
    return text.endswith(")") and any(
        text[at:].count("(") == text[at:].count(")") > 0 and text[at] == "("
        for at in range(len(text))
    )


def _fits(token: bytes, rest: bytes, index: int) -> bool:
    if index in PIECES.specials.values():
        return not rest
    if rest and rest.startswith(token):
        return True
    past = token[len(rest) :]
    return token.startswith(rest) and bool(past) and not (past[:1].isalnum() or past[0] >= 0x80)
