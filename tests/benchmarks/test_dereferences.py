from __future__ import annotations

import pytest

from benchmarks import dereferences

HEAD = "\n" * 9


def found(text: str, language: str) -> dict[str, tuple[str, bool]]:
    """Truth -> kind, store."""
    places = dereferences.places(HEAD + text, language)
    return {(HEAD + text)[place.start : place.end]: (place.kind, place.store) for place in places}


@pytest.mark.parametrize(
    ("line", "truths"),
    [
        ("x = a.b", {"b": ("attribute", False)}),
        ("x = a.b  # a.c", {"b": ("attribute", False)}),
        ("x = 1.5 + 2.", {}),
        ("x = 'a.b' + \"c.d\"", {}),
        ("x = f'{a.b}'", {}),
        ("# a.b", {}),
        ("open('../a.b')", {}),
        ("from .a import b", {}),
        ("import a.b", {}),
        ("x = ...", {}),
        ("x = a. spaced", {}),
        ("self.x = 1", {"x = 1": ("attribute", True)}),
        ("self.x: int = 1", {"x: int = 1": ("attribute", True)}),
        ("self.x, y = 1, 2", {"x, y = 1, 2": ("attribute", True)}),
        ("self.x += 1", {"x += 1": ("attribute", False)}),
        ("self.x[1] = 1", {"x[1] = 1": ("attribute", False)}),
        ("self.x == 1", {"x == 1": ("attribute", False)}),
        ("f(key=a.x)", {"x)": ("attribute", False)}),
        ("self.x.y = 1", {"x.y = 1": ("attribute", False), "y = 1": ("attribute", True)}),
        (
            "a.b('.c').d()",
            {"b('.c').d()": ("call", False), "d()": ("call", False)},
        ),
        ("import os\nx = os.path", {"path": ("module", False)}),
        ("import os as system\nsystem.exit()", {"exit()": ("module", False)}),
        ("x = Color.RED", {"RED": ("constant", False)}),
        ("x = '\N{PILE OF POO}'; y = a.b", {"b": ("attribute", False)}),
        ("match x:\n    case A.B:\n        pass", {}),
        (f"x = {'y' * 120}.b", {}),
    ],
)
def test_a_python_lines_points(line: str, truths: dict[str, tuple[str, bool]]) -> None:
    assert found(line, "python") == truths


@pytest.mark.parametrize(
    ("language", "line", "truths"),
    [
        ("typescript", "x = a?.b;", {"b;": ("attribute", False)}),
        ("typescript", "x = a?.[0];", {}),
        ("typescript", "x = a!.b; // a.c", {"b;": ("attribute", False)}),
        ("typescript", "x = `${a.b}` + 'a.b';", {}),
        ("typescript", "this.x = 1;", {"x = 1;": ("attribute", True)}),
        ("typescript", "this.#x = 1;", {}),
        ("typescript", "new a.B();", {"B();": ("call", False)}),
        ("typescript", "let a: N.T;", {"T;": ("type", False)}),
        ("typescript", "import { a } from './a.b';", {}),
        ("typescript", 'import * as ns from "a.b";\nns.f();', {"f();": ("module", False)}),
        ("typescript", "f(...a);", {}),
        ("cpp", "int f() { return a->b; }", {"b; }": ("attribute", False)}),
        ("cpp", "int f() { return a.b(); }", {"b(); }": ("call", False)}),
        ("cpp", "int f() { this->b = 1; }", {"b = 1; }": ("attribute", True)}),
        ("cpp", "std::string s;", {"string s;": ("module", False)}),
        ("cpp", "using std::string;", {}),
        ("cpp", '#include "a.h"', {}),
        ("cpp", "#define A b.c", {}),
        ("cpp", "double x = 1.5f;", {}),
        ("cpp", "void f(int n, ...);", {}),
    ],
)
def test_another_lines_points(
    language: str, line: str, truths: dict[str, tuple[str, bool]]
) -> None:
    assert found(line, language) == truths


LINES = "".join(f"x{n} = self.a{n}.b{n}  # why\n" for n in range(20))


def test_a_points_parts_are_its_file_without_the_lines_comment() -> None:
    points = dereferences.project_points("p", "python", {"p/a.py": HEAD + LINES})
    assert len(points) == dereferences.PER_FILE
    assert len({point.prefix.count("\n") for point in points}) == len(points)  # one a line
    for point in points:
        line = point.prefix.rpartition("\n")[2]
        assert line.endswith(".")
        assert point.suffix.startswith("\n") or not point.suffix
        assert point.filled(point.truth + "  # why") == HEAD + LINES


def test_the_points_do_not_depend_on_the_order_of_the_files() -> None:
    names = [f"p/{n}.py" for n in range(30)]
    forward = dereferences.project_points("p", "python", {name: HEAD + LINES for name in names})
    backward = dereferences.project_points(
        "p", "python", {name: HEAD + LINES for name in reversed(names)}
    )
    assert forward == backward
    assert len(forward) == dereferences.PER_PROJECT
    assert len({point.name for point in forward}) == len(forward)
