from __future__ import annotations

import ast

import pytest

from benchmarks import devset

TEXT = '''"""A module."""

import json

LIMIT = 100






class Store:
    def load(self, path):
        """Read."""
        with open(path) as file:
            data = json.load(file)
            self.items = data.get("items", [])
        for item in self.items:
            if item.size > LIMIT:
                item.shrink(LIMIT)
                item.mark()
        return self.items
'''


@pytest.fixture(params=devset.KINDS)
def points(request: pytest.FixtureRequest) -> tuple[str, list[devset.Point]]:
    """Points of one kind from several files of the same text."""
    texts = {f"p/{n}.py": TEXT for n in range(12)}
    found = devset.project_points("p", texts)
    return request.param, [point for point in found if point.kind == request.param]


def test_a_points_parts_are_its_file(points: tuple[str, list[devset.Point]]) -> None:
    _, found = points
    assert found
    for point in found:
        assert point.prefix + point.truth + point.suffix == TEXT
        assert point.prefix.count("\n") >= 9  # there is something to go by
    assert len({point.path for point in found}) == len(found)  # one of a kind from a file
    assert len(found) <= devset.PER_KIND


def test_points_stand_where_their_kind_says(points: tuple[str, list[devset.Point]]) -> None:
    kind, found = points
    for point in found:
        line = point.prefix.rpartition("\n")[2]
        assert point.suffix.startswith("\n")  # the truth goes to the end of a line
        if kind == "block":
            header = point.prefix.rstrip().rpartition("\n")[2]
            assert header.endswith(":") and not line.strip()
            assert 2 <= len(point.truth.splitlines()) <= 6
            body = "\n".join(["if True:", *(line + point.truth).splitlines()])
            assert ast.parse(body)
        else:
            assert "\n" not in point.truth
            assert (not line.strip()) == (kind == "line")
            assert (line.endswith(".")) == (kind == "dot")


def test_the_points_do_not_depend_on_the_order_of_the_files() -> None:
    names = [f"p/{n}.py" for n in range(30)]
    forward = devset.project_points("p", {name: TEXT for name in names})
    backward = devset.project_points("p", {name: TEXT for name in reversed(names)})
    assert forward == backward
    assert devset.project_points("q", {name: TEXT for name in names}) != forward


def test_a_docstrings_body_and_broken_files_give_no_points() -> None:
    assert devset.project_points("p", {"a.py": "\n" * 12 + "def f(:\n    return (\n"}) == []
    body = '    """Doc."""\n    return None\n'
    assert not list(devset.places("\n" * 12 + f"def f():\n{body}", "block"))
