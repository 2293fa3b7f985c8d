"""A scanner for brackets that knows strings and comments, in a dozen syntaxes.

The end rules and the text filters run on every decode step and on text that is incomplete by
nature, where a parser gives little. This scanner makes one pass of a regular expression, starts
inside a string or a comment if need be, and says where it ends up.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

CLOSER_OF = {"(": ")", "[": "]", "{": "}"}
CLOSERS = frozenset(CLOSER_OF.values())

_HASH = frozenset({"python", "ruby", "shellscript", "perl", "r", "yaml", "toml", "makefile"})
_HASH |= {"dockerfile", "elixir", "julia", "powershell", "coffeescript"}
_PROSE = frozenset({"markdown", "plaintext", "latex", "restructuredtext", "git-commit"})
_QUOTED_BY_APOSTROPHE = frozenset(
    {"python", "ruby", "shellscript", "perl", "r", "yaml", "toml", "php", "lua", "css", "scss"}
    | {"javascript", "javascriptreact", "typescript", "typescriptreact", "sql", "dart", "html"}
)
_BACKTICKS = frozenset({"javascript", "javascriptreact", "typescript", "typescriptreact", "go"})
_TRIPLES = frozenset({"python", "toml", "kotlin", "scala", "java", "swift", "julia", "dart"})


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found.

    `events` are brackets outside strings and comments as (offset, character); if the scan began
    inside a string, the quote that closes it is an event too. `inside` is what the end of the
    text lies in: "" for code, else the opener of the string or the comment. `spans` are the
    strings and comments that cross a line end, as (first, last) offsets.
    """

    events: tuple[tuple[int, str], ...]
    inside: str
    spans: tuple[tuple[int, int], ...] = ()


@functools.cache
def _tokens(language: str) -> re.Pattern[str]:
    if language in _PROSE:
        return re.compile(r"(?!)")
    parts: list[str] = []
    if language in _HASH:
        # In a shell and in YAML, "a#b" is one word and "$#" a variable.
        parts.append(r"(?<![\w$&{])#" if language in {"shellscript", "yaml"} else "#")
    elif language in {"lua", "sql", "haskell"}:
        parts.append("--")
    else:
        parts += ["//", r"/\*"]
    if language in _TRIPLES:
        parts += ['"""', "'''"]
    if language in _BACKTICKS:
        parts.append("`")
    parts.append('"')
    # Elsewhere an apostrophe is a character literal, a Rust lifetime or a digit separator.
    quote = "'" if language in _QUOTED_BY_APOSTROPHE else r"(?P<skip>'(?:\\[^\n]{1,8}?|[^'\\\n])')"
    parts += [quote, r"[()\[\]{}]"]
    return re.compile("|".join(parts))


_BODY = {
    '"""': re.compile(r'(?:[^\\]|\\.)*?"""', re.DOTALL),
    "'''": re.compile(r"(?:[^\\]|\\.)*?'''", re.DOTALL),
    "`": re.compile(r"(?:[^\\`]|\\.)*`", re.DOTALL),
    '"': re.compile(r'(?:[^"\\\n]|\\.)*(?:"|(?=\n))', re.DOTALL),
    "'": re.compile(r"(?:[^'\\\n]|\\.)*(?:'|(?=\n))", re.DOTALL),
}


def is_quote(opener: str) -> bool:
    """Whether `Scan.inside` names a string rather than a comment or code."""
    return opener in _BODY


def _leave(text: str, at: int, opener: str) -> int | None:
    """The offset behind the string or comment that `opener` began; None if it does not end."""
    body = _BODY.get(opener)
    if body is not None:
        found = body.match(text, at)
        return found.end() if found else None
    end = text.find("*/" if opener == "/*" else "\n", at)
    if end < 0:
        return None
    return end + 2 if opener == "/*" else end


def scan(text: str, language: str, inside: str = "") -> Scan:
    """Scan `text`, which begins inside of `inside` ("" for code; see `Scan.inside`)."""
    events: list[tuple[int, str]] = []
    spans: list[tuple[int, int]] = []
    at = 0
    if inside:
        end = _leave(text, 0, inside)
        if end is None:
            return Scan((), inside, ((0, len(text)),) if "\n" in text else ())
        if is_quote(inside) and text.endswith(inside, 0, end):
            events.append((end - len(inside), inside))
        if "\n" in text[:end]:
            spans.append((0, end))
        at = end
    token = _tokens(language)
    while found := token.search(text, at):
        if found.lastgroup == "skip":
            at = found.end()
            continue
        opener = found.group()
        if opener in CLOSER_OF or opener in CLOSERS:
            events.append((found.start(), opener))
            at = found.end()
            continue
        end = _leave(text, found.end(), opener)
        if end is None:
            spans.append((found.start(), len(text)))
            return Scan(tuple(events), opener, tuple(spans))
        if "\n" in text[found.start() : end]:
            spans.append((found.start(), end))
        at = end
    return Scan(tuple(events), "", tuple(spans))


def open_closers(events: tuple[tuple[int, str], ...]) -> list[str]:
    """The closers that are still due after `events`, outermost first; stray closers are ignored."""
    return [closer for _, closer in _matched(events)[0]]


def first_open(events: tuple[tuple[int, str], ...]) -> int | None:
    """The offset of the outermost bracket in `events` that is not closed."""
    return next((at for at, _ in _matched(events)[0]), None)


def stray_closers(events: tuple[tuple[int, str], ...]) -> list[str]:
    """The closers in `events` that nothing in them opened, in order."""
    return _matched(events)[1]


def _matched(events: tuple[tuple[int, str], ...]) -> tuple[list[tuple[int, str]], list[str]]:
    """What is open at the end, as (offset, closer due), outermost first; and stray closers."""
    due: list[tuple[int, str]] = []
    stray: list[str] = []
    for at, char in events:
        if char in CLOSER_OF:
            due.append((at, CLOSER_OF[char]))
        elif any(char == closer for _, closer in due):  # what is open further in is a slip
            while due.pop()[1] != char:
                pass
        elif char in CLOSERS:
            stray.append(char)
    return due, stray


def missing_closers(due: list[str], later: list[str], limit: int = 16) -> list[str]:
    """The closers of `due` (innermost first) that `later` (in order) does not bring.

    The longest common subsequence of the two is taken as brought; where there is a choice the
    innermost one is missing: after `f(g(|)` it is g's bracket.
    """
    due, later = due[:limit], later[:limit]
    rows, cols = len(due), len(later)
    best = [[0] * (cols + 1) for _ in range(rows + 1)]
    for i in reversed(range(rows)):
        for j in reversed(range(cols)):
            take = best[i + 1][j + 1] + 1 if due[i] == later[j] else 0
            best[i][j] = max(take, best[i + 1][j], best[i][j + 1])
    missing: list[str] = []
    i = j = 0
    while i < rows:
        if best[i + 1][j] == best[i][j]:
            missing.append(due[i])
            i += 1
        elif due[i] == later[j] and best[i + 1][j + 1] + 1 == best[i][j]:
            i, j = i + 1, j + 1
        else:
            j += 1
    return missing
