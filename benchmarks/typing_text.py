"""What a typist does: the keys for a stretch of real code, and when they fall.

Keys act as in an editor with default settings: Enter indents, brackets and quotes are closed at
once and typed over later. The rhythm is drawn from a log-normal law, longer before a word and at
the start of a line. Its shape follows what studies of typing report (Dhakal et al., "Observations
on Typing from 136 Million Keystrokes", CHI 2018: inter-key intervals are right-skewed, from about
120 ms for fast typists to 240 ms on average); the figures here are set from memory of them, not
fitted to their data.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MEDIAN_S, SIGMA = 0.16, 0.45  # of the gap before a key within a word
BEFORE_WORD, BEFORE_LINE = 1.5, 4.0  # times as long
_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_INDENT = 4


@dataclass(frozen=True, slots=True)
class Key:
    """One key: `delete` characters go before the cursor, `text` comes; `behind` is added behind
    it (the editor closes a bracket), `over` characters behind it are typed over."""

    text: str
    delete: int = 0
    behind: str = ""
    over: int = 0
    gap: float = 1.0  # in units of the median gap


@dataclass(frozen=True, slots=True)
class Page:
    """The text before and behind the cursor."""

    left: str
    right: str

    def press(self, key: Key) -> Page:
        left = self.left[: len(self.left) - key.delete]
        return Page(left + key.text, key.behind + self.right[key.over :])


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines of a file to type where they stand; `text` begins behind its first indentation."""

    path: Path  # relative to the project
    page: Page
    text: str


def keys_for(text: str, indent: str = "") -> Iterator[Key]:
    """The keys that write `text`; the cursor stands behind `indent` on an empty line."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if number:
            guess = _indent_after(indent, lines[number - 1])
            blank = 0 if lines[number - 1].strip() else len(indent)  # not left on blank lines
            yield Key("\n" + guess, delete=blank, gap=BEFORE_WORD)
            wanted = line[: len(line) - len(line.lstrip())] if line.strip() else guess
            if wanted.startswith(guess):
                for at in range(len(guess), len(wanted), _INDENT):
                    yield Key(wanted[at : at + _INDENT])
            else:
                for at in range(len(guess), len(wanted), -_INDENT):
                    yield Key("", delete=min(_INDENT, at - len(wanted)))
            indent = wanted
        yield from _line_keys(line.lstrip() if number else line)


def _indent_after(indent: str, line: str) -> str:
    words = line.split()
    if line.rstrip().endswith((":", "(", "[", "{")):
        return indent + " " * _INDENT
    if words and words[0] in ("return", "pass", "break", "continue", "raise"):
        return indent[:-_INDENT]
    return indent


def _line_keys(line: str) -> Iterator[Key]:
    pairs = _pairs(line)
    closing = set(pairs.values())
    for at, char in enumerate(line):
        gap = BEFORE_LINE if at == 0 else BEFORE_WORD if line[at - 1] in " (.,[" else 1.0
        if at in pairs:
            yield Key(char, behind=line[pairs[at]], gap=gap)
        else:
            yield Key(char, over=1 if at in closing else 0, gap=gap)


def _pairs(line: str) -> dict[int, int]:
    """Where brackets and strings of a line open -> where they close; only those that do."""
    found: dict[int, int] = {}
    stack: list[tuple[int, str]] = []
    for at, char in enumerate(line):
        inside = stack[-1][1] if stack else ""
        if inside in ("'", '"'):
            if char == inside and line[at - 1] != "\\":
                found[stack.pop()[0]] = at
        elif char == "#":
            break
        elif char in _CLOSERS:
            stack.append((at, _CLOSERS[char]))
        elif char in ("'", '"'):
            stack.append((at, char))
        elif char == inside:
            found[stack.pop()[0]] = at
    left_open = {at for at, _ in stack}
    # What is left open encloses the rest, so that its closers would come out of order.
    return {a: b for a, b in found.items() if not any(a < o < b for o in left_open)}


def gaps(keys: Sequence[Key], speed: float, seed: int) -> list[float]:
    """Seconds before each key."""
    draw = random.Random(seed)
    return [MEDIAN_S * key.gap * draw.lognormvariate(0, SIGMA) / speed for key in keys]


def stretches(project: Path, lines: int, count: int, seed: int) -> list[Stretch]:
    """`count` stretches of `lines` lines from the bodies of functions, one a file."""
    files = sorted(project.rglob("*.py"))
    random.Random(seed).shuffle(files)
    found = []
    for file in files:
        text = file.read_text(encoding="utf-8")
        bodies = [
            node.body
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef) and len(node.body) >= lines // 2
        ]
        rows = text.splitlines(keepends=True)
        for body in bodies:
            first = body[1].lineno - 1  # behind the docstring, if any
            last = body[-1].end_lineno or 0
            if first < 30 or last - first < lines or len(rows) - first < 60:
                continue
            start = len("".join(rows[:first])) + body[1].col_offset
            end = len("".join(rows[: first + lines]).rstrip("\n"))
            piece = text[start:end]
            if piece.isascii() and "\t" not in piece and '"""' not in piece:
                page = Page(text[:start], text[end:])
                found.append(Stretch(file.relative_to(project), page, piece))
                break
        if len(found) == count:
            return found
    raise SystemExit(f"only {len(found)} stretches of {lines} lines under {project}")
