"""One line or a block, by the syntax at the cursor (▮); and what parses."""

from __future__ import annotations

import subprocess
import sys

import pytest

from polydraft.completion.syntax import languages, needs_multiline, parses
from polydraft.completion.types import Request


def multiline(document: str, language: str) -> bool:
    before, after = document.split("▮")
    return needs_multiline(Request(before, after, language=language))


@pytest.mark.parametrize(
    ("language", "document"),
    [
        ("python", "def f(x):▮\n"),
        ("python", "def f(x):\n    ▮\n\ndef g():\n    pass\n"),
        ("python", "def f(x):\n    '''Doc.'''\n    ▮\n\ndef g():\n    pass\n"),
        ("python", "class A:\n    # todo\n    ▮\n"),
        ("python", "if x:\n    a()\nelse:\n    ▮\n"),
        ("python", "@cached\n▮\n"),
        ("python", "def f(x):\r\n    ▮\r\n"),
        ("javascript", "function f() {▮}\n".replace("}", "\n}")),
        ("javascript", "function f() {\n  // why\n  ▮\n}\n"),
        ("javascriptreact", "const f = () => {\n  ▮\n}\n"),
        ("typescript", "class A {\n  // why\n  ▮\n}\n"),
        ("typescriptreact", "function f(): number {\n  // why\n  ▮\n}\n"),
        ("go", "func f() {\n\t// why\n\t▮\n}\n"),
        ("rust", "fn f() {\n    // why\n    ▮\n}\n"),
        ("java", "class A {\n  // why\n  ▮\n}\n"),
        ("c", "int f() {\n  /* why */\n  ▮\n}\n"),
        ("cpp", "struct A {\n  // why\n  ▮\n};\n"),
        ("lua", "if x then\n  ▮\nend\n"),
        ("swift", "func f() {▮\n}\n"),
    ],
)
def test_an_opened_block_without_a_body_asks_for_one(language: str, document: str) -> None:
    assert multiline(document, language)


@pytest.mark.parametrize(
    ("language", "document"),
    [
        ("python", "x = ▮\n"),
        ("python", "x = 1▮\n"),
        ("python", "foo(▮)\n"),
        ("python", "def f(▮):\n"),
        ("python", "def f(x):▮\n    return x\n"),
        (
            "python",
            "def f(x):\n    ▮\n    return x\n".replace("▮\n    return", "▮\n        return"),
        ),
        ("python", "def f(x):\n    a = 1\n    ▮\n"),
        ("python", "def f(x):\n    '''Doc.\n    ▮\n    '''\n"),
        ("python", "x = {'a':▮\n"),
        ("python", "# note:▮\n"),
        ("javascript", "function f() {\n  a();\n  ▮\n}\n"),
        ("go", "func f() {\n\ta()\n\t▮\n}\n"),
        ("markdown", "some text\n▮\n"),
        ("", "▮"),
    ],
)
def test_all_else_asks_for_a_line(language: str, document: str) -> None:
    assert not multiline(document, language)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_request_may_decide(wanted: bool) -> None:
    assert needs_multiline(Request("x = ", "", multiline=wanted)) is wanted


def test_only_a_window_of_a_large_file_is_parsed() -> None:
    before = "def g():\n    return 1\n\n\n" * 100_000 + "def f(x):\n    '''Doc.'''\n    "
    assert needs_multiline(Request(before, "\n" + before, language="python"))


GOOD = {
    "python": "def f(x: int) -> int:\n    return x\n",
    "javascript": "const f = (x) => x;\n",
    "javascriptreact": "const f = () => <a b={1} />;\n",
    "typescript": "const f = (x: number): number => x;\n",
    "typescriptreact": "const f = (): X => <a b={1} />;\n",
    "tsx": "const f = <a />;\n",
    "go": "package a\n\nfunc f() int { return 1 }\n",
    "rust": "fn f<'a>(x: &'a str) -> &'a str { x }\n",
    "java": "class A { int f() { return 1; } }\n",
    "c": "int f(void) { return 1; }\n",
    "cpp": "template <class T> T f(T x) { return x; }\n",
}


@pytest.mark.parametrize("language", languages())
def test_each_grammar_tells_good_from_bad(language: str) -> None:
    assert parses(GOOD[language], language)
    assert not parses(GOOD[language] + "((", language)


def test_an_unknown_language_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no grammar for 'cobol'; use one of python"):
        parses("", "cobol")


def test_a_grammar_is_imported_when_first_needed() -> None:
    code = (
        "import sys; from polydraft.completion.syntax import parses; parses('x', 'python');"
        "print([m for m in sys.modules if m.startswith('tree_sitter_') and '.' not in m])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['tree_sitter_python']"
