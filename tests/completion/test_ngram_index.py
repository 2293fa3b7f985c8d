"""The n-gram index against a plain Counter: exact counts after any edits, and a bound."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polydraft.completion.ngram import NGrams
from polydraft.completion.ngram_index import LONGEST, GramCounts, NGramIndex, gram_keys

SMALL = st.lists(st.integers(0, 3), max_size=30)
TEXTS = st.one_of(SMALL, st.lists(st.integers(0, 2**20), max_size=60))


def naive(*texts: list[int]) -> Counter[tuple[int, ...]]:
    """Every gram of 1 to 4 ids, counted one by one."""
    return Counter(
        tuple(text[i : i + order])
        for text in texts
        for order in range(1, LONGEST + 1)
        for i in range(len(text) - order + 1)
    )


def key(gram: tuple[int, ...]) -> np.uint64:
    return gram_keys(gram)[-1]  # the longest order comes last


def counts_of(counts: GramCounts, grams: list[tuple[int, ...]]) -> list[int]:
    return counts.count(np.array([key(gram) for gram in grams], dtype=np.uint64)).tolist()


def following(index: NGramIndex, context: tuple[int, ...], tokens: list[int]) -> list[int]:
    return index.following([context], tokens)[0].tolist()


def assert_holds(index: NGramIndex, texts: list[list[int]]) -> None:
    """The index counts the grams of these texts and no others."""
    expected = naive(*texts)
    contexts = {gram[:-1] for gram in expected if len(gram) > 1}
    for context in contexts:
        tokens = sorted({gram[-1] for gram in expected if gram[:-1] == context} | {0, 1, 2, 3})
        assert following(index, context, tokens) == [
            expected[context],
            *(expected[(*context, token)] for token in tokens),
        ]
    assert index.tokens == sum(map(len, texts))


# --- counts ---


@given(st.lists(TEXTS, max_size=8), st.data())
def test_what_was_added_and_not_removed_is_counted(texts: list[list[int]], data: st.DataObject):
    removed = [text for text in texts if data.draw(st.booleans())]
    changes = data.draw(st.permutations([(1, t) for t in texts] + [(-1, t) for t in removed]))
    counts = GramCounts()
    for sign, text in changes:  # removed before it was added, too
        (counts.add if sign > 0 else counts.remove)(text)
    expected = naive(*texts)
    expected.subtract(naive(*removed))
    assert counts_of(counts, list(expected)) == list(expected.values())
    counts.compact()
    assert len(counts) == sum(1 for count in expected.values() if count)
    assert counts.nbytes == 12 * len(counts)


@given(st.lists(TEXTS, max_size=6))
def test_removing_everything_leaves_nothing(texts: list[list[int]]):
    counts = GramCounts()
    for text in texts:
        counts.add(text)
    for text in reversed(texts):
        counts.remove(text)
    counts.compact()
    assert counts.nbytes == 0


def test_a_gram_is_told_from_its_parts_and_from_its_permutations():
    grams = [(5,), (5, 6), (6, 5), (5, 6, 7), (5, 7, 6), (5, 6, 7, 8), (0,), (0, 0), (0, 0, 0)]
    assert len({int(key(gram)) for gram in grams}) == len(grams)


# --- texts ---


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | TEXTS), max_size=12))
def test_an_index_counts_the_latest_of_each_text(edits: list[tuple[str, list[int] | None]]):
    index, texts = NGramIndex(), {}
    for name, text in edits:
        if text is None:
            index.drop(name)
            texts.pop(name, None)
        else:
            index.put(name, text)
            texts[name] = text
    assert set(index) == texts.keys()
    assert all(index[name].tolist() == text for name, text in texts.items())
    assert_holds(index, list(texts.values()))


@given(SMALL, SMALL, SMALL, SMALL)
def test_an_edit_in_the_middle_changes_no_other_count(head, old, new, tail):
    index = NGramIndex()
    index.put("text", head + old + tail)
    index.put("text", head + new + tail)
    assert_holds(index, [head + new + tail])


def test_an_edit_costs_what_it_changes_and_not_the_whole_text():
    text = list(range(1000))
    index = NGramIndex()
    index.put("text", text)
    before = index.nbytes
    index.put("text", [*text[:500], 7777, *text[500:]])
    # 7 grams are gone or new for each order, at most, and one token is.
    assert index.nbytes - before <= 12 * (7 * LONGEST) + 4


@pytest.mark.parametrize("size", [1, 40, 400])
def test_the_bound_holds_whatever_is_put_and_the_latest_texts_stay(size: int):
    rng = np.random.default_rng(size)
    index = NGramIndex(max_bytes=40_000)
    for number in range(200):
        index.put(str(number), rng.integers(0, 50_000, size))
        assert index.nbytes <= 40_000
    kept = [int(name) for name in index]
    assert kept == list(range(200 - len(kept), 200))
    assert kept, "at least the latest text fits"
    assert_holds(index, [index[str(number)].tolist() for number in kept])


def test_a_text_put_again_is_not_the_next_to_go():
    index = NGramIndex(max_bytes=10_000)  # ten of these texts take 9680 bytes
    for name in "abcdefghijak":
        index.put(name, [ord(name) * 100 + i for i in range(20)])
    assert "a" in index and "b" not in index and "k" in index


def test_a_text_that_alone_is_too_large_is_not_kept():
    index = NGramIndex(max_bytes=1000)
    index.put("huge", list(range(5000)))
    assert list(index) == [] and index.nbytes == 0 and index.tokens == 0


# --- interpolation ---


def index_of(*texts: list[int]) -> NGramIndex:
    index = NGramIndex()
    for number, text in enumerate(texts):
        index.put(str(number), text)
    return index


@given(SMALL, st.lists(SMALL, max_size=4), st.lists(st.integers(0, 3), max_size=6))
def test_the_workspace_counts_like_text_of_the_prompt(near, others, draft):
    tokens, p = [0, 1, 2, 3], [0.4, 0.3, 0.2, 0.1]
    # No gram of two texts reaches over the end that each is given.
    ended = [[*text, *range(100, 100 + LONGEST)] for text in [near, *others]]
    both = NGrams(ended[0], workspace=index_of(*ended[1:]))
    joined = NGrams([token for text in ended for token in text])
    assert both.interpolate(draft, tokens, p) == pytest.approx(joined.interpolate(draft, tokens, p))


def test_a_longer_context_of_the_workspace_stands_over_a_shorter_one_of_the_prompt():
    ngrams = NGrams([2, 8] * 5, workspace=index_of([1, 2, 9]), alpha=1.0, kappa=0.0)
    assert ngrams.interpolate((1, 2), [8, 9], [0.5, 0.5]) == [0.0, 1.0]


def test_interpolation_keeps_the_probability_that_it_was_given():
    index = index_of([1, 2, 50], [1, 2, 60], [1, 2, 9])
    p = NGrams(workspace=index).interpolate((1, 2), [8, 9], [0.75, 0.25])
    assert sum(p) == pytest.approx(1.0)
    assert p[1] > 0.25


def test_the_evidence_is_what_was_followed_by_one_of_the_tokens_in_question():
    often = NGrams(workspace=index_of(*[[1, 2, 9]] * 20)).interpolate((1, 2), [8, 9], [0.5, 0.5])
    once = NGrams(workspace=index_of([1, 2, 9], *[[1, 2, 50]] * 19))
    assert 0.5 < once.interpolate((1, 2), [8, 9], [0.5, 0.5])[1] < often[1] < 0.8
    assert once.interpolate((1, 2), [7, 8], [0.5, 0.5]) == [0.5, 0.5]
