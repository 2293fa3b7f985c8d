"""What a member is taken of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polydraft.monitors.grammar import grammar_of
from polydraft.monitors.receiver import receiver_before


@pytest.mark.parametrize(
    ("language", "head", "text", "root", "path"),
    [
        ("python", "x = self.a", "self.a", "self", "self.a"),
        ("python", "return foo.bar(1).baz", "foo.bar(1).baz", "foo", ""),
        ("python", "f(x)(y)", "f(x)(y)", "f", ""),
        ("python", "x[foo(a, b)[0]", "foo(a, b)[0]", "foo", ""),
        ("python", "  ', '.join(x)", "', '.join(x)", "", ""),
        ("python", "x = (foo\n   .bar()", "foo\n   .bar()", "foo", ""),
        ("python", "a + (b)", "(b)", "", ""),
        ("python", "not x", "x", "x", "x"),
        ("python", "größe", "größe", "größe", "größe"),
        ("cpp", "this->x", "this->x", "this", "this->x"),
        ("cpp", "std::vector", "std::vector", "std", "std::vector"),
        ("typescript", "a?.b", "a?.b", "a", "a?.b"),
        ("typescript", "$x.y", "$x.y", "$x", "$x.y"),
    ],
)
def test_the_expression_before_an_operator(language, head, text, root, path):
    found = receiver_before(head, grammar_of(language))
    assert found is not None
    assert (found.text, found.root, found.path) == (text, root, path)
    assert head[found.start :] == text


@pytest.mark.parametrize(
    "head", ["", "x = ", "1", "0x1f", "return", "x if", "a +", "a.", "..", "x,"]
)
def test_nothing_is_taken_of(head):
    assert receiver_before(head, grammar_of("python")) is None


@given(st.text(st.sampled_from("ab1_.()[]{}'\" \n=,"), max_size=60))
def test_any_text_has_a_receiver_at_its_end_or_none(head):
    found = receiver_before(head, grammar_of("python"))
    assert found is None or (found.text and head.endswith(found.text))
