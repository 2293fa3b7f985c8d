from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from polydraft.lsp_server.anchor import (
    DUE_CHARACTERS,
    DUE_LINES,
    Anchor,
    fresh_anchor,
    next_anchor,
    reanchor_due,
)


def test_the_first_request_anchors_at_the_cursor() -> None:
    assert next_anchor(None, "x = ", "\n") == (4, Anchor("x = ", "\n"))


def test_inside_an_identifier_the_anchor_is_its_beginning() -> None:
    assert next_anchor(None, "x = foo_b", "")[0] == 4


def test_in_an_indentation_the_anchor_is_the_line_s_beginning() -> None:
    offset, state = next_anchor(None, "if x:\n    y\n    ", "\nz")
    assert offset == 12
    for line in ("    fo", "fo", "\t", ""):  # it holds whatever the indentation becomes
        assert next_anchor(state, "if x:\n    y\n" + line, "\nz") == (12, state)
    assert next_anchor(None, "if x:\n    fo", "")[0] == 6


def test_typing_on_keeps_the_anchor() -> None:
    offset, state = next_anchor(None, "x = ", ")\n")
    for typed in ("f", "fo", "foo", "foo(", "foo(a, b"):
        again, state = next_anchor(state, "x = " + typed, ")\n")
        assert again == offset


def test_each_kind_of_jump_or_edit_elsewhere_anchors_anew() -> None:
    _, state = next_anchor(None, "a\nb = ", "\nc")
    rows = [
        ("a\nb = 1", "\nd"),  # the text behind changed
        ("A\nb = 1", "\nc"),  # the text before the anchor changed
        ("a\nb =", "\nc"),  # backspaced past the anchor
        ("a\nb = ", " \nc"),
        ("a\nb = f(1", "]\nc"),  # closes nothing that was opened
        ("a\nb = f(1)", ")\nc"),
    ]
    for prefix, suffix in rows:
        assert next_anchor(state, prefix, suffix) == fresh_anchor(prefix, suffix)


def test_after_some_lines_or_many_characters_anchoring_anew_is_due() -> None:
    _, state = next_anchor(None, "", "")
    assert not reanchor_due(state, "1\n" * (DUE_LINES - 1) + "x", "")
    assert reanchor_due(state, "1\n" * DUE_LINES, "")
    assert not reanchor_due(state, "x" * DUE_CHARACTERS, "")
    assert reanchor_due(state, "x" * (DUE_CHARACTERS + 1), "")


def test_what_was_due_and_found_no_idle_time_is_forced_at_twice_the_amount() -> None:
    _, state = next_anchor(None, "", "")
    assert next_anchor(state, "1\n" * (2 * DUE_LINES - 1), "")[0] == 0
    assert next_anchor(state, "1\n" * 2 * DUE_LINES, "")[0] == 4 * DUE_LINES
    assert next_anchor(state, "x " * DUE_CHARACTERS, "")[0] == 0
    assert next_anchor(state, "x " * (DUE_CHARACTERS + 1), "")[0] > 0


def test_what_the_editor_closes_behind_the_cursor_moves_no_anchor() -> None:
    offset, state = next_anchor(None, "x = ", "\n")
    for prefix, suffix in [("x = f(", ")\n"), ("x = f([a", "])\n"), ('x = f("', '")\n')]:
        assert next_anchor(state, prefix, suffix) == (offset, state)
        assert state.closers(prefix, suffix) == suffix[:-1]
    assert not reanchor_due(state, "x = f(" + "a" * 2 * DUE_CHARACTERS, ")\n")


@given(
    steps=st.lists(
        st.tuples(st.text("ab_ \n", max_size=30), st.text("ab\n", max_size=5)), max_size=12
    )
)
def test_the_anchor_lies_in_the_prefix_and_what_stands_before_it_is_the_states(
    steps: list[tuple[str, str]],
) -> None:
    state = None
    for prefix, suffix in steps:
        offset, state = next_anchor(state, prefix, suffix)
        assert prefix[:offset] == state.head
        assert state.suffix == suffix  # nothing is opened here that an editor would close
