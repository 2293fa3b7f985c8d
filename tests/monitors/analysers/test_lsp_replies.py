"""What language servers answer, read leniently; and places in their units."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polydraft.monitors.analysers.framing import framed, read_message
from polydraft.monitors.analysers.lsp_replies import names_of, problems_of, signatures_of
from polydraft.monitors.analysers.positions import Encoding, offset_of, position_of
from polydraft.monitors.analysis import How, Kind, Name, Parameter


@pytest.mark.parametrize(
    ("item", "name"),
    [
        ({"label": "get", "kind": 2}, Name("get", Kind.FUNCTION)),
        ({"label": "get(x)", "kind": 3}, Name("get", Kind.FUNCTION)),
        ({"label": " •get", "filterText": "get"}, Name("get")),
        ({"label": "x?", "insertText": "?.x", "kind": 5}, Name("x")),
        ({"label": "x", "textEdit": {"newText": ".x"}, "kind": 5}, Name("x")),
        ({"label": "A", "kind": 7}, Name("A", Kind.CLASS)),
        ({"label": "b=", "kind": 6}, Name("b", Kind.ARGUMENT)),
        ({"label": "größe"}, Name("größe")),
        ({"label": "f", "insertText": "f(${1:x})", "insertTextFormat": 2}, Name("f")),
    ],
)
def test_a_name_is_what_an_item_would_write(item, name):
    assert names_of([item]) == [name]
    assert names_of({"isIncomplete": True, "items": [item]}) == [name]


@pytest.mark.parametrize(
    "reply",
    [None, [], {}, "x", {"items": None}, [{"label": "if", "kind": 14}], [{"label": "w", "kind": 1}]]
    + [[3], [{"label": ""}], [{"label": "..."}], [{"kind": 2}]],
)
def test_what_is_no_name_is_left_out(reply):
    assert names_of(reply) == []


def test_signatures():
    label = "f(a: int, b=2, *, c, **d)"
    parameters = [{"label": each} for each in ("a: int", "b=2", "*", "c", "**d")]
    (found,) = signatures_of({"signatures": [{"label": label, "parameters": parameters}]})
    assert found.parameters == (
        Parameter("a"),
        Parameter("b", How.EITHER, False),
        Parameter("c", How.KEYWORD, True),
        Parameter("d", How.ANY_KEYWORD, False),
    )
    places = [{"label": [4, 10]}, {"label": [12, 13]}]
    (found,) = signatures_of({"signatures": [{"label": "😀f(x: any, y)", "parameters": places}]})
    assert found.parameters == (Parameter("x"), Parameter("y"))
    anything = {"signatures": [{"label": "(...) -> Unknown", "parameters": []}]}
    odd_ones = (None, {}, {"signatures": None}, {"signatures": [3, {"label": "f()"}]}, anything)
    for odd in odd_ones:
        assert signatures_of(odd) == ()


def test_only_errors_are_problems():
    place = {"start": {"line": 0, "character": 1}, "end": {"line": 0, "character": 3}}
    given_ = [
        {"range": place, "severity": 1, "message": "no", "code": 7},
        {"range": place, "severity": 2, "message": "hm"},
        {"range": place, "message": "none said"},
        {"message": "nowhere"},
        3,
    ]
    found = problems_of(given_, lambda position: position["character"])
    assert [(each.start, each.end, each.message, each.code) for each in found] == [
        (1, 3, "no", "7"),
        (1, 3, "none said", ""),
    ]


@given(st.text("a😀é\n"), st.data(), st.sampled_from(Encoding))
def test_offsets_survive_a_round_trip(text, data, encoding):
    offset = data.draw(st.integers(0, len(text)))
    assert offset_of(text, position_of(text, offset, encoding), encoding) == offset


def test_messages_survive_a_round_trip_and_nonsense_is_refused():
    messages = [{"id": 1, "result": "😀"}, {"method": "x"}]
    output = io.BytesIO(b"".join(map(framed, messages)))
    assert [read_message(output), read_message(output), read_message(output)] == [*messages, None]
    for odd in (b"hello\n", b"Content-Length: x\r\n\r\n", b"\r\n", b"Content-Length: 2\r\n\r\n[]"):
        with pytest.raises(ValueError):
            read_message(io.BytesIO(odd))
