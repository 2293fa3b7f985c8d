"""How right the names of a draft are that goes on behind a dereference: functions of texts."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Sequence

from tree_sitter import Node

from benchmarks.quality import best_prefix
from polydraft.completion.syntax import parse

_PYTHON = frozenset(keyword.kwlist)
_KEYWORDS = (  # of TypeScript and C++
    "if else for while do switch case break continue return new delete void const static class enum"
    " try catch throw this true false typeof instanceof in of let var function async await extends"
    " null undefined as is auto int char bool double float long unsigned signed sizeof template"
    " typename struct union namespace using public private protected virtual override nullptr"
    " operator default interface implements import export from yield number string"
    " boolean"
)
_OTHERS = frozenset(_KEYWORDS.split())
_STRING = r"""(?:"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|`(?:\\.|[^`\\])*`?)"""
_COMMENT = {"python": r"#.*"}
_WORD = r"[^\W\d][\w$]*"


def code(text: str, language: str) -> str:
    """The first line of what stands in code, without a comment at its end."""
    line = text.split("\n", 1)[0]
    comments = (found.start() for found in _lexemes(line, language) if found["comment"])
    return line[: next(comments, len(line))].rstrip()


def next_name(text: str) -> str:
    """The name that a text begins with, or ""."""
    found = re.match(_WORD, text)
    return found.group() if found else ""


def names(text: str, language: str) -> list[str]:
    """The names of the first line in order, without keywords, strings and comments."""
    keywords = _PYTHON if language == "python" else _OTHERS
    words = (found["word"] for found in _lexemes(text.split("\n", 1)[0], language))
    return [word for word in words if word and word not in keywords]


def _lexemes(line: str, language: str) -> Collection[re.Match[str]]:
    comment = _COMMENT.get(language, r"//.*|/\*.*?(?:\*/|$)")
    string = rf"(?:\b[rRbBfFuUL]{{1,2}})?{_STRING}"
    pattern = rf"(?P<string>{string})|(?P<comment>{comment})|\d[\w.]*|(?P<word>{_WORD})"
    return list(re.finditer(pattern, line))


def scores(drafts: Sequence[str], truth: str, language: str) -> dict[str, float]:
    """The measures of all drafts together: the best of them counts."""
    lines = [code(draft, language) for draft in drafts]
    goal = code(truth, language)
    return {
        "name": float(next_name(goal) in map(next_name, lines)),
        "sequence": float(names(goal, language) in [names(line, language) for line in lines]),
        "prefix": best_prefix(lines, goal),
        "exact": float(goal.strip() in map(str.strip, lines)),
    }


def errors(text: str, language: str) -> int:
    """How many errors tree-sitter finds."""
    count, waiting = 0, [parse(text, language)]
    while waiting:
        node: Node = waiting.pop()
        count += node.is_error or node.is_missing
        waiting += [child for child in node.children if child.has_error or child.is_missing]
    return count
