"""What becomes of drafts, on a clock of the test's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from polydraft.lsp_server.acceptance import About, Acceptance, Outcome, moved

ABOUT = About("small", "", "greedy", "python")
URI = "file:///a.py"


class Told(list[Outcome]):
    def __init__(self) -> None:
        self.acceptance = Acceptance(self.append)

    def show(self, name: str, offset: int, text: str, now: float) -> None:
        self.acceptance.shown(name, URI, offset, text, ABOUT, now)


def test_a_glimpse_is_no_rejection_and_half_a_second_is() -> None:
    told = Told()
    told.show("1", 0, "abc", 0)
    told.acceptance.hidden("1", 0.4)
    told.show("2", 9, "de", 1)
    told.acceptance.hidden("2", 1.6)
    told.acceptance.close(9)
    assert told == [Outcome(ABOUT, 600, 2)]


def test_a_draft_that_is_typed_along_is_one_showing() -> None:
    told = Told()
    told.show("1", 4, "return", 0)
    told.acceptance.hidden("1", 0.2)
    told.show("2", 5, "eturn", 0.3)
    told.acceptance.hidden("2", 0.5)
    told.show("3", 7, "urn", 0.6)
    told.show("4", 7, "other", 1.6)  # this is another
    told.acceptance.close(1.7)
    assert told == [Outcome(ABOUT, 1400, 6)]


def test_taken_text_is_followed_through_edits() -> None:
    told = Told()
    told.show("1", 4, "abcdef", 0)
    text = "x = abcdef\n"
    told.acceptance.taken("1", None, text, 1)
    for now, newer in [
        (10, "# new\n" + text),
        (20, "# new\nx = abXdef\n"),  # one of six is gone
        (40, "# new\nx = abXdZef\n"),  # what is put in does not count
        (50, "# new\nx = f\n"),
    ]:
        told.acceptance.edited(URI, text, newer, now)
        text = newer
    assert told.acceptance.look(100) == 201
    assert told.acceptance.look(301) is None
    assert told == [Outcome(ABOUT, 1000, 6, 6, (5, 1))]


def test_words_taken_one_by_one_add_up_under_all_ids() -> None:
    told = Told()
    told.show("1", 0, "one two three", 0)
    told.acceptance.taken("1", 3, "one", 1)
    told.acceptance.taken("1", 7, "one two", 2)
    told.acceptance.taken("1", 7, "one two", 2)  # told twice
    told.show("2", 7, " three", 2.1)
    told.acceptance.taken("2", None, "one two three", 3)
    told.acceptance.look(400)
    (outcome,) = told
    assert (outcome.characters, outcome.taken, outcome.kept) == (13, 13, (13, 13))


def test_the_edit_may_come_after_the_word_of_it() -> None:
    told = Told()
    told.show("1", 0, "abc", 0)
    told.acceptance.taken("1", None, "", 1)
    told.acceptance.edited(URI, "", "abc", 1.1)
    told.acceptance.edited(URI, "abc", "ab", 2)
    told.show("2", 2, "never", 3)
    told.acceptance.taken("2", None, "ab", 4)  # and this one never comes
    told.acceptance.look(500)
    assert [each.kept for each in told] == [(2, 2), (None, None)]


def test_what_is_closed_before_is_not_known_rather_than_gone() -> None:
    told = Told()
    told.show("1", 0, "abc", 0)
    told.acceptance.taken("1", None, "abc", 1)
    told.acceptance.look(40)
    told.acceptance.closed(URI, 50)
    told.acceptance.taken("7", None, "abc", 51)  # nobody knows it
    assert told == [Outcome(ABOUT, 1000, 3, 3, (3, None))]


@given(st.data())
def test_spans_move_as_marked_characters_do(data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 30))
    marks = data.draw(st.lists(st.booleans(), min_size=length, max_size=length))
    spans = spans_of(marks)
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(marks)))
        end = data.draw(st.integers(start, len(marks)))
        new = data.draw(st.integers(0, 5))
        marks[start:end] = [False] * new
        spans = moved(spans, start, end, start + new)
        assert [at for a, b in spans for at in range(a, b)] == [
            at for at, marked in enumerate(marks) if marked
        ]


@given(st.text("ab", max_size=12), st.text("ab", max_size=12))
def test_no_more_is_held_to_be_kept_than_there_is(old: str, new: str) -> None:
    told = Told()
    told.show("1", 0, old or "a", 0)
    told.acceptance.taken("1", None, old or "a", 0)
    told.acceptance.edited(URI, old or "a", new, 1)
    told.acceptance.look(1000)
    (outcome,) = told
    assert outcome.kept[0] == outcome.kept[1] and (outcome.kept[0] or 0) <= len(new)
    if new.startswith(old or "a"):
        assert outcome.kept[0] == len(old or "a")


def spans_of(marks: list[bool]) -> list[tuple[int, int]]:
    return [(at, at + 1) for at, marked in enumerate(marks) if marked]
