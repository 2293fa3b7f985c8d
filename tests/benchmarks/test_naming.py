from __future__ import annotations

import pytest

from benchmarks import naming


@pytest.mark.parametrize(
    ("text", "language", "names"),
    [
        ("get(a.b, 'c.d')", "python", ["get", "a", "b"]),
        ("x if y else z  # w", "python", ["x", "y", "z"]),
        ("join(f'{a}', rb\"b\", c)", "python", ["join", "c"]),
        ("a1 + 1.5e3 + 0x1f", "python", ["a1"]),
        ("a\nb", "python", ["a"]),
        ("f('open", "python", ["f"]),
        ("größe(naïve)", "python", ["größe", "naïve"]),
        ("map((x) => new X(`${y}`)); // z", "typescript", ["map", "x", "X"]),
        ("$a?.b /* c */ ?? null", "typescript", ["a", "b"]),
        ('push_back(static_cast<T>(x), "#y"); // z', "cpp", ["push_back", "static_cast", "T", "x"]),
        ("", "python", []),
    ],
)
def test_the_names_of_a_line(text: str, language: str, names: list[str]) -> None:
    assert naming.names(text, language) == names


@pytest.mark.parametrize(
    ("text", "language", "code"),
    [
        ("a  # b", "python", "a"),
        ("a('#')  ", "python", "a('#')"),
        ("a // b", "python", "a // b"),
        ("a('//') // b", "typescript", "a('//')"),
        ("a\nb", "cpp", "a"),
    ],
)
def test_a_comment_is_no_code(text: str, language: str, code: str) -> None:
    assert naming.code(text, language) == code


@pytest.mark.parametrize(
    ("drafts", "truth", "scores"),
    [
        (["get(a)"], "get(a)", (1, 1, 1.0, 1)),
        (["get(a)  # so"], "get(a)", (1, 1, 1.0, 1)),
        (["get(a, 1)"], "get(a)", (1, 1, 5 / 6, 0)),
        (["get(b)"], "get(a)", (1, 0, 4 / 6, 0)),
        (["getter(a)"], "get(a)", (0, 0, 0.5, 0)),
        (["set(a)", "get(b)"], "get(a)", (1, 0, 4 / 6, 0)),
        ([""], "get(a)", (0, 0, 0.0, 0)),
        ([], "get(a)", (0, 0, 0.0, 0)),
    ],
)
def test_scores(drafts: list[str], truth: str, scores: tuple[float, ...]) -> None:
    found = naming.scores(drafts, truth, "python")
    assert tuple(found[key] for key in ("name", "sequence", "prefix", "exact")) == scores


@pytest.mark.parametrize(
    ("text", "language", "wrong"),
    [
        ("a.b(c)\n", "python", False),
        ("a.b(c\nd = 1\n", "python", True),
        ("a.b(c);\n", "typescript", False),
        ("a.b(c;\n", "typescript", True),
        ("int f() { return a->b; }\n", "cpp", False),
        ("int f() { return a->; }\n", "cpp", True),
    ],
)
def test_errors_are_seen(text: str, language: str, wrong: bool) -> None:
    assert (naming.errors(text, language) > 0) is wrong


def test_an_error_more_is_seen_in_a_file_that_has_one_already() -> None:
    broken = "x = )\n\n\ndef f():\n    return a.{}\n"
    kept = naming.errors(broken.format("b"), "python")
    assert 0 < kept < naming.errors(broken.format("b[(1"), "python")
