"""Where drafts come unasked: in code, not in comments or strings (the cursor is at the end)."""

from __future__ import annotations

import pytest

from polydraft.completion.quiet import Within, within


@pytest.mark.parametrize(
    ("language", "prefix", "expected"),
    [
        ("python", "x = 1\n", "code"),
        ("python", "x = 1  # the ", "comments"),
        ("python", "x = 1  # the\n", "code"),
        ("python", "x = '#'", "code"),
        ("python", "x = 'it is ", "strings"),
        ("python", "x = 'it is'", "code"),
        ("python", "x = 'it is\n", "code"),  # nobody ended it, but its line did
        ("python", 'def f():\n    """Tell ', "strings"),
        ("python", 'def f():\n    """Tell."""\n    ', "code"),
        ("python", "print(f'{", "code"),
        ("python", "print(f'{x.", "code"),
        ("python", "print(f'{x} and ", "strings"),
        ("python", "print(f'{{x", "strings"),
        ("python", "print(rf'{d[", "code"),
        ("python", "print('{x", "strings"),
        ("python", "self'{x", "strings"),  # `f` ends a name here
        ("typescript", "const a = `${", "code"),
        ("typescript", "const a = `${f({a: 1}).", "code"),
        ("typescript", "const a = `${x} {", "strings"),
        ("typescript", "const a = `\\${x", "strings"),
        ("typescript", "// say ", "comments"),
        ("typescript", "/* say\n * more ", "comments"),
        ("typescript", "/* say */ ", "code"),
        ("go", "var a = `{", "strings"),
        ("rust", "fn f<'a>(x: &'a ", "code"),
        ("c", "char c = '\"'; int ", "code"),
        ("markdown", "it's # here ", "code"),
        ("", "x = ", "code"),
    ],
)
def test_within(language: str, prefix: str, expected: str) -> None:
    assert within(prefix, language) is Within(expected)
