from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from polydraft.completion.types import Draft
from polydraft.lsp_server.draft_cache import DraftCache, Place
from tests.fakes import draft


def cached(*drafts: Draft, prefix: str = "x = ", suffix: str = "", k: int = 3) -> DraftCache:
    cache = DraftCache()
    cache.store("a.py", prefix, suffix, k, drafts)
    return cache


def found(cache: DraftCache, prefix: str, suffix: str = "", k: int = 3) -> list[tuple[str, int]]:
    return [(each.text, each.replace) for each in cache.lookup("a.py", prefix, suffix, k)]


def test_typing_through_a_draft_keeps_the_others() -> None:
    cache = cached(draft("foo(a)"), draft("foo(b)"), draft("bar"))
    assert found(cache, "x = ") == [("foo(a)", 0), ("foo(b)", 0), ("bar", 0)]
    assert found(cache, "x = f") == [("oo(a)", 0), ("oo(b)", 0)]
    assert found(cache, "x = foo(b") == [(")", 0)]


def test_backspacing_to_an_earlier_point_finds_the_drafts_again() -> None:
    cache = cached(draft("foo(a)"), draft("bar"))
    assert found(cache, "x = foo(") == [("a)", 0)]
    assert found(cache, "x = ") == [("foo(a)", 0), ("bar", 0)]


def test_what_no_draft_begins_with_or_one_ends_with_is_no_hit() -> None:
    cache = cached(draft("foo"))
    assert found(cache, "x = g") == []
    assert found(cache, "x = foo") == []
    assert found(cache, "x =") == []


def test_another_suffix_path_or_a_greater_k_is_no_hit() -> None:
    cache = cached(draft("foo"), suffix="\ny")
    assert found(cache, "x = ", "\ny")
    assert not found(cache, "x = ", "\nz")
    assert not found(cache, "x = ", "\ny", k=4)
    assert not cache.lookup("b.py", "x = ", "\ny", 3)


def test_the_place_nearest_to_the_cursor_speaks_first() -> None:
    cache = cached(draft("foo(a)"), draft("foo(b)"))
    cache.store("a.py", "x = foo", "", 3, [draft("(c)"), draft("(a)")])
    assert found(cache, "x = foo") == [("(c)", 0), ("(a)", 0), ("(b)", 0)]


def test_a_bracket_that_the_editor_closed_is_replaced() -> None:
    cache = cached(draft("(a, b):\n    pass"), prefix="def f", suffix="\n")
    assert found(cache, "def f(", ")\n") == [("a, b):\n    pass", 1)]
    assert found(cache, "def f(a", ")\n") == [(", b):\n    pass", 1)]


def test_brackets_closed_within_brackets_are_replaced_together() -> None:
    cache = cached(draft("f([1, 2])"), suffix="")
    assert found(cache, "x = f([", "])") == [("1, 2])", 2)]


def test_typing_over_the_closed_bracket_goes_on_without_it() -> None:
    cache = cached(draft("(a):"), prefix="def f")
    assert found(cache, "def f(a)", "") == [(":", 0)]


def test_a_draft_without_the_closer_does_not_eat_the_editors() -> None:
    assert found(cached(draft("(a, b"), prefix="f"), "f(", ")") == []


def test_an_unrelated_closer_in_the_suffix_is_an_edit_elsewhere() -> None:
    cache = cached(draft("(a]):"), prefix="f")
    assert found(cache, "f(", "]") == []
    assert found(cache, "f", ")") == []


def test_typing_over_what_a_draft_replaces_uses_it_up() -> None:
    cache = cached(draft("a, b):", replace=1), prefix="f(", suffix=")\n")
    assert found(cache, "f(a, b", ")\n") == [("):", 1)]
    assert found(cache, "f(a, b)", "\n") == [(":", 0)]


def test_a_rest_that_would_change_nothing_is_dropped() -> None:
    cache = cached(draft("a)", replace=1), prefix="f(", suffix=")")
    assert found(cache, "f(a", ")") == []


def test_drafts_that_come_to_the_same_are_shown_once() -> None:
    cache = cached(draft("foo"), draft("foo"))
    assert found(cache, "x = f") == [("oo", 0)]


def test_the_least_recently_used_entries_go_first() -> None:
    cache = DraftCache(entries=2)
    for prefix in ("a", "b"):
        cache.store("p", prefix, "", 1, [draft("x")])
    assert cache.lookup("p", "a", "", 1)
    cache.store("p", "c", "", 1, [draft("x")])
    assert len(cache) == 2
    assert cache.lookup("p", "a", "", 1)
    assert not cache.lookup("p", "b", "", 1)


def test_the_text_held_is_bounded_too() -> None:
    cache = DraftCache(characters=100)
    for index in range(10):
        cache.store("p", f"{index}" * 40, "", 1, [draft("x")])
    assert len(cache) == 2


def test_the_cache_knows_where_a_model_was_asked_and_had_nothing() -> None:
    cache = cached()
    assert cache.knows("a.py", "x = ", "", 3) and cache.knows("a.py", "x = ", "", 1)
    assert not cache.knows("a.py", "x = ", "", 4)
    assert not cache.knows("a.py", "x = f", "", 3)
    cache.discard("a.py", "x = ", "")
    assert not cache.knows("a.py", "x = ", "", 3)
    assert len(cache) == 0


def test_a_place_leads_to_those_that_typing_gives() -> None:
    here = Place("x = ", ")\n")
    rows = [
        (Place("x = ", ")\n"), True),
        (Place("x = f", ")\n"), True),
        (Place("x = f(", "))\n"), True),  # closed by the editor
        (Place("x = f)", "\n"), True),  # typed over
        (Place("x = f", "\n"), False),
        (Place("x = f", "]\n"), False),
        (Place("x =", ")\n"), False),
        (Place("y = f", ")\n"), False),
    ]
    assert [here.leads_to(there) for there, _ in rows] == [leads for _, leads in rows]


@given(st.text("ab()", max_size=4), st.text("ab()\n", max_size=4), st.text("ab(", max_size=4))
def test_a_place_leads_to_where_its_drafts_are_accepted(
    prefix: str, suffix: str, text: str
) -> None:
    here = Place(prefix, suffix)
    assert here.leads_to(here.accepting(draft(text)))
    assert here.accepting(draft(text, replace=1)) == Place(prefix + text, suffix[1:])


def test_a_draft_that_takes_indentation_back_is_not_typed_at_another_depth() -> None:
    cache = cached(draft("else:", outdent=4), draft("every()"), prefix="if x:\n        ")
    assert found(cache, "if x:\n        ") == [("else:", 0), ("every()", 0)]
    assert found(cache, "if x:\n        e") == [("very()", 0)]
    assert found(cache, "if x:\n    ") == [("else:", 0)]  # the user has taken it back
    assert found(cache, "if x:\n    e") == [("lse:", 0)]
    here = Place("if x:\n        ", "\n")
    assert here.accepting(draft("else:", outdent=4)) == Place("if x:\n    else:", "\n")


words = st.text("ab(", min_size=1, max_size=6)
anything = st.text('ab()[]" \n', max_size=8)


@st.composite
def places(draw: st.DrawFn) -> tuple[str, str, list[Draft]]:
    prefix, suffix = draw(anything), draw(anything)
    line = len(suffix.split("\n")[0])
    drafts = draw(
        st.lists(
            st.builds(
                lambda text, replaced: draft(text, replace=replaced),
                st.text('ab()[]" \n', min_size=1, max_size=10),
                st.integers(0, line),
            ),
            min_size=1,
            max_size=4,
        )
    )
    return prefix, suffix, drafts


@given(place=places(), now=st.tuples(anything, anything), data=st.data())
def test_accepting_a_cached_draft_gives_a_document_that_an_original_draft_stood_for(
    place: tuple[str, str, list[Draft]], now: tuple[str, str], data: st.DataObject
) -> None:
    prefix, suffix, drafts = place
    cache = DraftCache()
    cache.store("p", prefix, suffix, 3, drafts)
    typed = data.draw(st.sampled_from([now[0], *(each.text[:3] for each in drafts)]))
    before = prefix + typed
    behind = data.draw(st.sampled_from([suffix, now[1], ")" + suffix, "])" + suffix, suffix[1:]]))
    wanted = {prefix + each.text + suffix[each.replace :] for each in drafts}
    for hit in cache.lookup("p", before, behind, 1):
        assert hit.text
        assert before + hit.text + behind[hit.replace :] in wanted


@given(place=places(), data=st.data())
def test_all_drafts_that_begin_with_what_was_typed_are_found(
    place: tuple[str, str, list[Draft]], data: st.DataObject
) -> None:
    prefix, suffix, drafts = place
    cache = DraftCache()
    cache.store("p", prefix, suffix, 4, drafts)
    chosen = data.draw(st.sampled_from(drafts))
    typed = chosen.text[: data.draw(st.integers(0, len(chosen.text) - 1))]
    hits = {each.text for each in cache.lookup("p", prefix + typed, suffix, 4)}
    for each in drafts:
        rest = each.text.removeprefix(typed)
        if each.text.startswith(typed) and rest and rest != suffix[: each.replace]:
            assert rest in hits
