"""Arguments by names that exist, and closing brackets that come too early."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules import IMPOSSIBLE, Case

from polydraft.completion.monitor import Constraint
from polydraft.monitors.analysis import How, Parameter, Signature
from polydraft.monitors.calls import missing
from polydraft.monitors.open_call import OpenCall

PIECES = ["=", "==", "=1", ")", "):", ").", " )", ",", "a", "b", "nope", "1", "(", "f(", "\n"]
TWO = (Signature((Parameter("a"), Parameter("b", required=False))),)


def lost(marked: str, signatures: tuple[Signature, ...] = TWO) -> dict[str, float]:
    return Case("calls", marked, PIECES, signatures=signatures).lost()


def test_an_argument_s_name_has_to_exist():
    assert {"=", "=1"} <= lost("f(nope|").keys()
    assert "==" not in lost("f(nope|")
    assert not lost("f(1, a|").keys() & {"=", "=1"}
    assert "=" not in lost("f(1 + nope|") and "=" not in lost("f(x.nope|")
    assert (
        "=" not in lost("f[nope|") and "=" not in lost("nope|") and "=" not in lost("def f(nope|")
    )


def test_a_bracket_does_not_close_while_an_argument_is_missing():
    assert {")", "):", ")."} <= lost("x = f(|").keys()
    assert ")" not in lost("f(1|") and ")" not in lost("f(a=1|") and ")" not in lost("f(*x|")
    assert ")" in lost("f(b=1|") and ")" in lost("f(g(1), |".replace("g(1), ", "b=g(1), "))
    assert ")" not in lost("f((1|")  # another bracket
    assert ")" not in lost("f('a, b'|") and ")" not in lost("f({'a': 1}|")


def test_there_are_no_more_arguments_than_parameters():
    assert "," in lost("f(1, 2|") and "," in lost("f(b=1, a=2|")
    assert "," not in lost("f(1|") and "," not in lost("f(*x, 1|")
    assert "," not in lost("f(1, [2|")  # another bracket
    assert "," not in lost("f(\n    1,\n    2|")  # which ends an argument there
    more = (Signature((Parameter("a"), Parameter("rest", How.MORE, False))),)
    assert "," not in lost("f(1, 2|", more)
    assert "," in lost("f(|", (Signature(()),))


def test_nothing_is_impossible():
    assert max(lost("f(|").values()) < IMPOSSIBLE


@pytest.mark.parametrize("signatures", [(), (*TWO, Signature(()))])
def test_unless_one_signature_is_known_everything_may_come(signatures):
    assert lost("f(|", signatures) == {} and lost("f(nope|", signatures) == {}


def test_keywords_that_a_call_takes_in_any_case_may_have_any_name():
    more = (Signature((Parameter("a"), Parameter("kw", How.ANY_KEYWORD, False))),)
    assert "=" not in lost("f(1, nope|", more)
    by_place = (Signature((Parameter("a", How.POSITIONAL),)),)
    assert "=" in lost("f(a|", by_place)


@pytest.mark.parametrize("marked", ["f(|", "x = [f(1,\n  |", "return g(f(|"])
def test_what_is_asked_stands_behind_the_parenthesis(marked):
    case = Case("calls", marked, PIECES, signatures=TWO)
    case.constraint()
    (asked,) = case.analyser.asked
    assert asked.buffer.text[: asked.offset].endswith("f(")


def test_one_question_serves_a_call():
    case = Case("calls", "x = f(|", PIECES, signatures=TWO)
    case.constraint()
    case.constraint("a")
    case.constraint("1", ",", "b")
    assert len(case.analyser.asked) == 1
    assert case.constraint("1", ")", "\n", "1") == Constraint()


arguments = st.lists(st.sampled_from(["1", "x", "a=1", "b=2", "c=3"]), max_size=4)
parameters = st.lists(
    st.tuples(st.sampled_from("abc"), st.booleans()), max_size=3, unique_by=lambda each: each[0]
)


@given(arguments, parameters)
def test_what_is_missing_is_what_python_would_miss(given_arguments, wanted):
    """Against `inspect.Signature.bind` of the same function, where that binds at all."""
    ordered = sorted(wanted, key=lambda each: not each[1])  # defaults last
    made = Signature(tuple(Parameter(name, How.EITHER, required) for name, required in ordered))
    places = [each for each in given_arguments if "=" not in each]
    names = {each[0] for each in given_arguments if "=" in each}
    filled = {name for name, _ in ordered[: len(places)]}
    truth = [name for name, required in ordered if required and name not in filled | names]
    call = OpenCall("f", "", ", ".join(given_arguments), tuple(given_arguments))
    assert missing(call, made) == truth
