"""What of other files is chosen for the prompt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from polydraft.completion.types import ContextChunk
from polydraft.lsp_server.context import CHUNK_LINES, ChunkCache, gather, imports
from polydraft.lsp_server.ignore import IgnoreRules

AROUND = "from shapes import circle\n\ndef total_area(shapes):\n    return circle_area(radius)\n"
SHAPES = "def circle_area(radius):\n    return 3 * radius * radius\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def paths(chunks: tuple[ContextChunk, ...]) -> list[str]:
    return [chunk.path for chunk in chunks]


def test_open_recent_and_imported_files_are_used(root: Path) -> None:
    write(root, "shapes.py", SHAPES)
    recent = write(root, "visited.py", "def square_area(radius): ...\n")
    chunks = gather(
        root,
        root / "main.py",
        AROUND,
        {root / "open.py": "def total_area(shapes): ...\n", root / "main.py": AROUND},
        [recent],
        IgnoreRules(root),
    )
    assert paths(chunks) == ["shapes.py", "visited.py", "open.py"]
    assert chunks[0].text == SHAPES


def test_the_text_as_edited_wins_over_the_file(root: Path) -> None:
    path = write(root, "shapes.py", SHAPES)
    edited = {path: "def circle_area(radius, unit): ...\n"}
    (chunk,) = gather(root, root / "main.py", AROUND, edited, [], IgnoreRules(root))
    assert "unit" in chunk.text


@pytest.mark.parametrize("name", [".env.py", "secrets.py", "ignored.py", "own.py"])
def test_excluded_files_are_never_used_not_even_open_ones(root: Path, name: str) -> None:
    write(root, ".gitignore", "ignored.py\n.env*\n")
    write(root, ".polydraftignore", "own.py\n")
    path = write(root, name, SHAPES)
    source = AROUND.replace("shapes import circle", f"{path.stem} import circle_area")
    for open_documents in ({path: SHAPES}, {}):
        chunks = gather(root, root / "main.py", source, open_documents, [path], IgnoreRules(root))
        assert chunks == ()


def test_links_out_of_the_workspace_are_not_followed(root: Path) -> None:
    outside = write(root, "outside/shapes.py", SHAPES)
    inside = root / "inside"
    inside.mkdir()
    (inside / "shapes.py").symlink_to(outside)
    args = (inside, inside / "main.py", AROUND, {}, [outside], IgnoreRules(inside))
    assert gather(*args) == ()


def test_without_a_workspace_nothing_is_read_from_disk(root: Path) -> None:
    path = write(root, "shapes.py", SHAPES)
    rules = IgnoreRules(None)
    assert gather(None, root / "main.py", AROUND, {}, [path], rules) == ()
    (chunk,) = gather(None, root / "main.py", AROUND, {root / "open.py": SHAPES}, [], rules)
    assert chunk.path == "open.py"


@pytest.mark.parametrize(
    "content",
    [
        SHAPES.encode() + b"\0",
        SHAPES.encode() + b"\xff",
        SHAPES.encode() * 10_000,
        SHAPES.encode() + b"x" * 1000,
    ],
    ids=["binary", "not UTF-8", "huge", "long lines"],
)
def test_files_that_are_no_plain_source_are_left_out(root: Path, content: bytes) -> None:
    path = root / "shapes.py"
    path.write_bytes(content)
    assert gather(root, root / "main.py", AROUND, {}, [path], IgnoreRules(root)) == ()


def test_files_of_other_languages_are_left_out(root: Path) -> None:
    others = {root / "a.js": SHAPES, root / "a.md": SHAPES, root / "a.pyi": SHAPES}
    chunks = gather(root, root / "main.py", AROUND, others, [], IgnoreRules(root))
    assert paths(chunks) == ["a.pyi"]


def test_near_duplicates_are_taken_once(root: Path) -> None:
    others = {root / f"copy{n}.py": SHAPES for n in range(3)}
    assert len(gather(root, root / "main.py", AROUND, others, [], IgnoreRules(root))) == 1


def test_chunks_are_short_and_cover_the_best_part_of_a_file(root: Path) -> None:
    filler = "".join(f"unrelated_{n} = {n}\n" for n in range(100))
    text = f"{filler}\n{SHAPES}\n{filler}"
    open_documents = {root / "long.py": text}
    chunks = gather(root, root / "main.py", AROUND, open_documents, [], IgnoreRules(root))
    assert any(SHAPES in chunk.text for chunk in chunks)
    assert all(chunk.text.count("\n") <= CHUNK_LINES for chunk in chunks)


def test_there_is_a_limit(root: Path) -> None:
    others = {root / f"f{n}.py": f"def circle_area(radius, name_{n}): ...\n" for n in range(9)}
    args = (root, root / "main.py", AROUND, others, [], IgnoreRules(root))
    assert len(gather(*args)) == 4
    assert len(gather(*args, limit=2)) == 2
    assert gather(*args, limit=0) == ()


def test_the_choice_does_not_depend_on_the_order_of_documents(root: Path) -> None:
    others = {root / f"f{n}.py": f"def circle_area(radius, name_{n}): ...\n" for n in range(6)}
    turned = dict(reversed(others.items()))
    rules = IgnoreRules(root)
    one = gather(root, root / "main.py", AROUND, others, [], rules)
    assert one == gather(root, root / "main.py", AROUND, turned, [], rules)


def test_a_choice_stays_until_something_clearly_better_turns_up(root: Path) -> None:
    first = "def circle_area(radius): ...\n"
    others = {root / "a.py": first, root / "b.py": "def circle_area(radius, total_area): ...\n"}
    rules, main = IgnoreRules(root), root / "main.py"
    previous = (ContextChunk("a.py", first),)
    assert paths(gather(root, main, AROUND, others, [], rules, limit=1)) == ["b.py"]
    kept = gather(root, main, AROUND, others, [], rules, limit=1, previous=previous)
    assert kept == previous
    others[root / "b.py"] = AROUND
    better = gather(root, main, AROUND, others, [], rules, limit=1, previous=previous)
    assert paths(better) == ["b.py"]


def test_a_file_is_read_again_only_when_it_changed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(root, "shapes.py", SHAPES)
    rules, cache = IgnoreRules(root), ChunkCache()
    args = (root, root / "main.py", AROUND, {}, [], rules)
    first = gather(*args, cache=cache)
    opened: list[Path] = []
    really_open = Path.open

    def watched(self: Path, *rest: Any, **named: Any) -> object:
        opened.append(self)
        return really_open(self, *rest, **named)

    monkeypatch.setattr(Path, "open", watched)
    assert gather(*args, cache=cache) == first
    assert opened == []
    write(root, "shapes.py", SHAPES.replace("3", "3.14"))
    os.utime(path, ns=(1, 1))
    opened.clear()
    (chunk,) = gather(*args, cache=cache)
    assert "3.14" in chunk.text and path in opened


def test_hostile_import_lines_cost_little_and_raise_nothing(root: Path) -> None:
    source = f"from {'.' * 50_000} x\nimport {'a' * 5000}\n" + "from a import (\n" * 5000
    assert list(imports(source, root / "main.py", root)) == []
    assert list(imports("import x from './" + "a" * 5000 + "'", root / "m.ts", root)) == []


def test_no_identifiers_no_context(root: Path) -> None:
    others = {root / "a.py": SHAPES}
    assert gather(root, root / "main.py", "x = 1", others, [], IgnoreRules(root)) == ()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pkg.mod", ["pkg/mod.py"]),
        ("import os, pkg.mod as m, pkg", ["pkg/mod.py", "pkg/__init__.py"]),
        ("from pkg import mod", ["pkg/mod.py", "pkg/__init__.py"]),
        ("from pkg.mod import (\n    f,\n    g as h,\n)", ["pkg/mod.py"]),
        ("from . import near", ["sub/near.py"]),
        ("from .near import x", ["sub/near.py"]),
        ("from ..pkg.mod import x", ["pkg/mod.py"]),
        ("import lib", ["src/lib.py"]),
        ("import near", ["sub/near.py"]),
        ("x = 'import pkg.mod'", []),
        ("from .......... import etc", []),
    ],
)
def test_python_imports(root: Path, source: str, found: list[str]) -> None:
    for name in ("pkg/__init__.py", "pkg/mod.py", "sub/near.py", "src/lib.py"):
        write(root, name, "")
    names = imports(source, root / "sub" / "main.py", root)
    assert [path.relative_to(root).as_posix() for path in names] == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import { a } from './a'", ["web/a.ts"]),
        ("export * from '../lib'", ["lib/index.ts"]),
        ("const b = require('./b.js')", ["web/b.js"]),
        ('await import("./a")', ["web/a.ts"]),
        ("import './b'", ["web/b.js"]),
        ("import x from 'react'", []),
        ("import x from '../../../etc/passwd'", []),
    ],
)
def test_script_imports(root: Path, source: str, found: list[str]) -> None:
    for name in ("web/a.ts", "web/b.js", "lib/index.ts"):
        write(root, name, "")
    names = imports(source, root / "web" / "main.tsx", root)
    assert [path.relative_to(root).as_posix() for path in names] == found
