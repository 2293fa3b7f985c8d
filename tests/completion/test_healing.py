"""Token healing: which first tokens may complete what was typed, and what is shown of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import ToyModel, naive_logits

from polydraft.completion.drafters import DRAFTERS, Task
from polydraft.completion.engine import Engine
from polydraft.completion.healing import Healed, Vocabulary, hold_back
from polydraft.completion.meter import Meter
from polydraft.completion.ngram import NGrams
from polydraft.completion.prompt import Prompt
from polydraft.completion.rows import Ends

PIECES = [
    b"<stop>",
    b"n",
    b"na",
    b"name",
    b" name",
    b".",
    b".name",
    b"me",
    b"\n",
    b"\xf0\x9f",
    b"x",
]


class PieceTokenizer:
    specials = {"<stop>": 0}

    def __init__(self, pieces: Sequence[bytes] = PIECES) -> None:
        self.pieces = list(pieces)

    def __len__(self) -> int:
        return len(self.pieces)

    def token_bytes(self, index: int) -> bytes:
        return self.pieces[index]

    def decode(self, ids: Sequence[int]) -> str:
        return b"".join(self.pieces[i] for i in ids).decode(errors="replace")


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=30), st.binary(min_size=1, max_size=3))
def test_the_index_agrees_with_a_scan_of_the_vocabulary(pieces, prefix):
    tokenizer = PieceTokenizer([b"<stop>", *pieces])
    expected = {i for i, p in enumerate(pieces, 1) if p.startswith(prefix)}
    assert set(Vocabulary(tokenizer).starting_with(prefix)) == expected


def healed(ids: tuple[int, ...], middle_at: int):
    tokenizer = PieceTokenizer()
    return hold_back(Prompt(ids, middle_at), tokenizer, Vocabulary(tokenizer))


def test_a_half_typed_word_is_held_back_and_may_become_any_word_that_begins_so():
    prompt, text, allowed = healed((10, 5, 2), middle_at=1)
    assert prompt.ids == (10, 5)
    assert text == "na"
    assert allowed is not None and {PIECES[i] for i in allowed} == {b"na", b"name"}


@pytest.mark.parametrize(
    ("ids", "middle_at"), [((10, 5), 2), ((10, 8), 1), ((10, 9), 1), ((2,), 0)]
)
def test_nothing_is_held_back_without_typing_at_a_line_end_or_inside_a_character(ids, middle_at):
    prompt, text, allowed = healed(ids, middle_at)
    assert (prompt.ids, text, allowed) == (ids, "", None)


def test_a_special_token_never_completes_what_was_typed():
    tokenizer = PieceTokenizer([b"<stop>", b"<", b"<s"])
    assert Vocabulary(tokenizer).starting_with(b"<s") == (2,)


def test_what_was_typed_is_taken_off_the_draft():
    assert Healed(PieceTokenizer(), "na").decode([3, 5]) == "me."


@pytest.mark.parametrize("method", DRAFTERS)
def test_every_draft_begins_with_an_allowed_token_scored_among_the_allowed(method):
    model, allowed = ToyModel(seed=3), (4, 7, 9)
    task = Task(
        3, Ends(frozenset({0}), 6), lambda i, f: str(i), lambda row: None, NGrams(), allowed
    )
    rows = Engine(model, DRAFTERS[method]).draft([1, 2], task, Meter()).rows
    assert rows
    logits = naive_logits(model, [1, 2])[list(allowed)].log_softmax(-1)
    for row in rows:
        expected = float(logits[allowed.index(row.ids[0])])
        assert not row.exact or row.logprobs[0] == pytest.approx(expected, abs=1e-4)
