"""The matrix of successors against a table kept in the plainest way."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from polydraft.completion.guessers.recycling import Recycling, Successors
from polydraft.completion.rows import Choice

TOKENS = st.integers(0, 11)


def choice(*tokens: int) -> Choice:
    return Choice(tokens, tuple(-float(i) for i in range(len(tokens))))


CHOICES = st.lists(TOKENS, unique=True, max_size=9).map(lambda tokens: choice(*tokens))


@given(
    passes=st.lists(st.lists(st.tuples(TOKENS, CHOICES), min_size=1, max_size=4), max_size=12),
    count=st.integers(1, 8),
    pending=TOKENS,
    most=st.integers(0, 6),
)
def test_equals_a_naive_table(passes, count, pending, most):
    recycling = Recycling(Successors(12, count))
    table: dict[int, list[int]] = {}
    for fed in passes:
        recycling.learn([token for token, _ in fed], [said for _, said in fed])
        for token, said in fed:
            table[token] = list(said.tokens)[:count]
    assert [recycling.successors.of(token) for token in range(12)] == [
        table.get(token, []) for token in range(12)
    ]
    expected: list[int] = []
    while len(expected) < most and table.get(expected[-1] if expected else pending):
        expected.append(table[expected[-1] if expected else pending][0])
    assert [each.token for each in islice(recycling.after(pending), most)] == expected


def test_a_rejected_guess_is_learnt_from_as_well():
    """Worked example of the module: all that was fed tells something."""
    recycling = Recycling(Successors(12))
    recycling.learn([3, 4, 5], [choice(4, 9), choice(7), choice(6)])  # 5 was guessed, 7 was right
    assert [each.token for each in recycling.after(3)] == [4, 7]
    assert [each.token for each in recycling.after(5)] == [6]


def test_the_matrix_takes_four_bytes_a_successor():
    assert Successors(151_665, 8).nbytes == 151_665 * 8 * 4
