"""Strings that have to be one of a few: what the analyser lists passes, others lose."""

from __future__ import annotations

import pytest
from rules import IMPOSSIBLE, Case
from scripted import opened

PIECES = ["title", "ti", "tle", "year", "yes", "ghost", '"', '"]', "'", " ", "-x", "content", "["]
KEYS = {"": opened("title", "year")}


def lost(marked: str, keys=KEYS) -> dict[str, float]:
    return Case("strings", marked, PIECES, keys).lost()


PLACES = [
    'x = movie["|"]',
    'x = movie["|',
    "return movie['|']",
    'f(movie["|"])',
    'print(a.movies[0]["|"])',
    'open_it("|")',
    'open_it(1, "|")',
    'open_it(mode="|")',
    'if mode == "|":',
    'x = a != "|"',
]


@pytest.mark.parametrize("marked", PLACES)
def test_a_string_is_one_of_those_that_are_listed(marked):
    found = lost(marked)
    assert {"ghost", "yes", "content", "-x", " "} <= found.keys()
    assert not {"title", "year"} & found.keys()
    assert max(found.values()) < IMPOSSIBLE
    before, bar, after = marked.partition("|")
    inside = lost(f"{before}ti{bar}{after}")
    assert "tle" not in inside and "ghost" in inside


ELSEWHERE = [
    'movie["|"] = 1',  # a new key, most likely
    '    a.movie["|"] = 1',
    'x = "|"',
    'x = ["|"]',
    'f"{x}|"',
    'print(f"|")',
    'movie["a b|"]',
    "movie[|]",
    '# movie["|"]',
    'x = """movie["|"""',
    'x = movie["title"|]',
]


@pytest.mark.parametrize("marked", ELSEWHERE)
def test_elsewhere_anything_may_come(marked):
    assert lost(marked) == {}


def test_keys_of_the_page_count_as_listed():
    found = lost('movie["ghost"] = 1\nother["content"] = 2\nx = movie["|"]\n')
    assert "ghost" not in found and "content" in found


def test_of_strings_that_are_no_names_the_beginning_counts():
    found = lost('h["|"]', {"": opened("content-type", "year")})
    assert found == {}  # a statement's beginning
    found = lost('x = h["|"]', {"": opened("content-type", "year")})
    assert "content" not in found and "ghost" in found
    assert "-x" not in lost('x = h["content|"]', {"": opened("content-type", "year")})
    assert lost('x = open("|")', {"": opened("+a", "r")}) == {}


def test_the_string_is_closed_in_what_is_asked():
    case = Case("strings", 'x = f(movie["ti|', PIECES, KEYS)
    case.constraint()
    (question,) = case.analyser.asked
    assert question.buffer.text == 'x = f(movie[""])\n'
    assert question.offset == len('x = f(movie["')
