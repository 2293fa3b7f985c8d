"""What of other files is chosen for the prompt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from polydraft.completion.prompt import context_share
from polydraft.completion.types import Budget, ContextChunk, Request
from polydraft.lsp_server.context import gather
from polydraft.lsp_server.ignore import IgnoreRules
from polydraft.lsp_server.source_files import CHUNK_LINES, FileCache

AROUND = "from shapes import circle\n\ndef total_area(shapes):\n    return circle_area(radius)\n"
SHAPES = "def circle_area(radius):\n    return 3 * radius * radius\n"
OUTLINE = "def circle_area(radius): ...\n"
HERE = Request(AROUND, "")


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
        HERE,
        {root / "open.py": "def total_area(shapes): ...\n", root / "main.py": AROUND},
        [recent],
        IgnoreRules(root),
    )
    assert paths(chunks) == ["shapes.py", "visited.py", "open.py"]
    assert chunks[0].text == OUTLINE


def test_the_text_as_edited_wins_over_the_file(root: Path) -> None:
    path = write(root, "shapes.py", SHAPES)
    edited = {path: "def circle_area(radius, unit): ...\n"}
    (chunk,) = gather(root, root / "main.py", HERE, edited, [], IgnoreRules(root))
    assert "unit" in chunk.text


@pytest.mark.parametrize("name", [".env.py", "secrets.py", "ignored.py", "own.py"])
def test_excluded_files_are_never_used_not_even_open_ones(root: Path, name: str) -> None:
    write(root, ".gitignore", "ignored.py\n.env*\n")
    write(root, ".polydraftignore", "own.py\n")
    path = write(root, name, SHAPES)
    source = AROUND.replace("shapes import circle", f"{path.stem} import circle_area")
    for open_documents in ({path: SHAPES}, {}):
        request = Request(source, "")
        chunks = gather(root, root / "main.py", request, open_documents, [path], IgnoreRules(root))
        assert chunks == ()


def test_links_out_of_the_workspace_are_not_followed(root: Path) -> None:
    outside = write(root, "outside/shapes.py", SHAPES)
    inside = root / "inside"
    inside.mkdir()
    (inside / "shapes.py").symlink_to(outside)
    args = (inside, inside / "main.py", HERE, {}, [outside], IgnoreRules(inside))
    assert gather(*args) == ()


def test_without_a_workspace_nothing_is_read_from_disk(root: Path) -> None:
    path = write(root, "shapes.py", SHAPES)
    rules = IgnoreRules(None)
    assert gather(None, root / "main.py", HERE, {}, [path], rules) == ()
    (chunk,) = gather(None, root / "main.py", HERE, {root / "open.py": SHAPES}, [], rules)
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
    assert gather(root, root / "main.py", HERE, {}, [path], IgnoreRules(root)) == ()


def test_files_of_other_languages_are_left_out(root: Path) -> None:
    others = {root / "a.js": SHAPES, root / "a.md": SHAPES, root / "a.pyi": SHAPES}
    chunks = gather(root, root / "main.py", HERE, others, [], IgnoreRules(root))
    assert paths(chunks) == ["a.pyi"]


def test_near_duplicates_are_taken_once(root: Path) -> None:
    others = {root / f"copy{n}.py": SHAPES for n in range(3)}
    assert len(gather(root, root / "main.py", HERE, others, [], IgnoreRules(root))) == 1


def test_chunks_are_short_and_cover_the_best_part_of_a_file(root: Path) -> None:
    filler = "".join(f"unrelated_{n} = {n}\n" for n in range(100))
    text = f"{filler}\n{SHAPES}\n{filler}"
    open_documents = {root / "long.py": text}
    chunks = gather(root, root / "main.py", HERE, open_documents, [], IgnoreRules(root))
    assert any(SHAPES in chunk.text for chunk in chunks)
    assert all(chunk.text.count("\n") <= CHUNK_LINES for chunk in chunks)


@pytest.mark.parametrize("prompt_tokens", [64, 256, 1024, 4096])
def test_the_context_keeps_to_its_share_of_the_prompt(root: Path, prompt_tokens: int) -> None:
    others = {
        root / f"f{n}.py": f"def circle_area(radius, name_{n}): ...\n" + "x = 1\n" * 30
        for n in range(9)
    }
    request = Request(AROUND * 100, "", budget=Budget(prompt_tokens))
    chunks = gather(root, root / "main.py", request, others, [], IgnoreRules(root))
    characters = sum(len(chunk.path) + len(chunk.text) for chunk in chunks)
    assert characters <= 4 * context_share(request)
    assert bool(chunks) == (prompt_tokens > 64)


def test_the_choice_does_not_depend_on_the_order_of_documents(root: Path) -> None:
    others = {root / f"f{n}.py": f"def circle_area(radius, name_{n}): ...\n" for n in range(6)}
    turned = dict(reversed(others.items()))
    rules = IgnoreRules(root)
    one = gather(root, root / "main.py", HERE, others, [], rules)
    assert one == gather(root, root / "main.py", HERE, turned, [], rules)


def test_a_choice_stays_until_something_clearly_better_turns_up(root: Path) -> None:
    rest = "".join(f"    area_{n} = radius * {n}\n" for n in range(20))
    first = f"def square_area(radius):\n{rest}"
    others = {root / "a.py": first, root / "b.py": f"def circle_area(radius):\n{rest}"}
    rules, main = IgnoreRules(root), root / "main.py"
    request = Request(AROUND * 100, "", budget=Budget(1024))
    assert len(first) < 3.6 * context_share(request) < 2 * len(first)  # there is room for one
    previous = (ContextChunk("a.py", first),)
    assert paths(gather(root, main, request, others, [], rules)) == ["b.py"]
    assert gather(root, main, request, others, [], rules, previous=previous) == previous
    better = others[root / "b.py"] = f"def circle_area(radius, total_area, shapes):\n{rest}"
    chunks = gather(root, main, request, others, [], rules, previous=previous)
    assert ContextChunk("b.py", better) in chunks and previous[0] not in chunks


def test_a_chunk_much_like_the_text_at_the_cursor_is_left_out(root: Path) -> None:
    others = {root / "copy.py": AROUND, root / "other.py": SHAPES}
    chunks = gather(root, root / "main.py", HERE, others, [], IgnoreRules(root))
    assert paths(chunks) == ["other.py"]


# Signatures of imported files -------------------------------------------------------------------

STACK = """
class Base:
    def _grow(self): self.deep = 1

class Stack(Base):
    def __init__(self, size: int):
        self.size = size
    def push(self, item: int) -> None:
        hidden_inside = item
    def _shrink(self): ...

class Unrelated:
    pass

def _helper(): ...
"""
USER = "from stack import Stack\n\ndef fill(stack: Stack):\n    stack."
STACK_OUTLINE = """\
class Stack(Base):
    def __init__(self, size: int):
        self.size = size
    def push(self, item: int) -> None: ...
"""


def context_of(root: Path, source: str, tokens: int = 1024, name: str = "main.py") -> str:
    request = Request(source, "", budget=Budget(tokens))
    chunks = gather(root, root / name, request, {}, [], IgnoreRules(root))
    return "".join(f"# {chunk.path}\n{chunk.text}" for chunk in chunks)


def test_an_imported_class_enters_with_its_members_and_without_bodies(root: Path) -> None:
    write(root, "stack.py", STACK)
    context = context_of(root, USER)
    assert STACK_OUTLINE in context
    assert "hidden_inside" not in context and "_helper" not in context


def test_a_name_is_found_through_the_files_that_hand_it_on(root: Path) -> None:
    write(root, "kit/__init__.py", "from .inner import Stack\n")
    write(root, "kit/inner/__init__.py", "from kit.inner.stack import *\n")
    write(root, "kit/inner/stack.py", STACK)
    source = USER.replace("stack import", "kit import")
    assert context_of(root, source) == f"# kit/inner/stack.py\n{STACK_OUTLINE}"
    write(root, "web/index.ts", "export * from './stack';\n")
    write(root, "web/stack.ts", "export class Stack { push(item: number): void {} }\n")
    script = "import { Stack } from './web';\nconst stack = new Stack();\nstack."
    assert context_of(root, script, name="main.ts") == (
        "# web/stack.ts\nclass Stack {\n    push(item: number): void;\n}\n"
    )


def test_names_handed_on_in_a_circle_end(root: Path) -> None:
    write(root, "one.py", "from two import Stack\n")
    write(root, "two.py", "from one import Stack\n")
    assert context_of(root, USER.replace("stack import", "one import")) == ""


def test_names_imported_come_before_the_rest_of_their_file(root: Path) -> None:
    others = "".join(f"class Stack{n}:\n    def fill(self, stack): ...\n" for n in range(40))
    write(root, "stack.py", others + STACK)
    source = "filler = 1\n" * 100 + USER  # as much as leaves a quarter to the context
    assert STACK_OUTLINE in context_of(root, source, tokens=340)
    short = context_of(root, source, tokens=300)  # it may not fill more than half of the room
    assert short.startswith("# stack.py\nclass Stack(Base):\n    def __init__(...): ...\n")


def test_of_an_imported_file_only_names_asked_for_or_near_the_cursor_enter(root: Path) -> None:
    write(root, "stack.py", STACK)
    assert context_of(root, USER) == f"# stack.py\n{STACK_OUTLINE}"
    named = f"# an Unrelated remark\n{USER}"
    assert "class Unrelated: ..." in context_of(root, named)
    far = f"{named.removesuffix('stack.')}{'    filler = 1' * 200}\n"
    assert "Unrelated" not in context_of(root, far)


def test_a_class_that_is_inherited_from_shows_its_private_members(root: Path) -> None:
    write(root, "stack.py", STACK)
    assert "_shrink" not in context_of(root, USER)
    heir = "from stack import Stack\n\nclass Heap(Stack):\n    def fill(self):\n        self."
    assert "_shrink" in context_of(root, heir)


@pytest.mark.parametrize(
    ("tokens", "member", "whole"),
    [
        (16_000, "    def m0(self, parameter: dict[str, int]): ...\n", True),
        (8000, "    def m0(...): ...\n", True),
        (2000, "    m0(), m1(), m2(), ", True),
        (512, "    m0(), m1(), m2(), ", False),
    ],
)
def test_where_room_is_short_a_type_loses_parameters_then_all_but_names_then_its_end(
    root: Path, tokens: int, member: str, whole: bool
) -> None:
    methods = "".join(f"    def m{n}(self, parameter: dict[str, int]): ...\n" for n in range(120))
    write(root, "stack.py", f"class Stack:\n{methods}")
    context = context_of(root, "filler = 1\n" * 1000 + USER, tokens)
    assert context.startswith(f"# stack.py\nclass Stack:\n{member}")
    assert ("m119(" in context) == whole


def test_a_language_without_a_grammar_gives_chunks(root: Path) -> None:
    write(root, "web/a.vue", "function stackSize() { return hiddenInside; }\n")
    script = "import a from './web/a.vue';\nstackSize(hiddenInside)"
    assert "return hiddenInside" in context_of(root, script, name="main.ts")


@pytest.mark.parametrize("name", ["secrets.py", "ignored.py", "own.py"])
def test_excluded_files_hand_nothing_on(root: Path, name: str) -> None:
    write(root, ".gitignore", "ignored.py\n")
    write(root, ".polydraftignore", "own.py\n")
    hidden = write(root, name, STACK + "from stack import Other\n")
    write(root, "stack.py", "class Other:\n    def push(self): ...\n")
    write(root, "kit/__init__.py", f"from {hidden.stem} import *\n")
    for module in (hidden.stem, "kit"):
        source = f"from {module} import Stack, Other\nStack().push(Other"
        assert context_of(root, source) == ""


def test_a_file_is_read_again_only_when_it_changed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(root, "shapes.py", SHAPES)
    rules, files = IgnoreRules(root), FileCache()
    args = (root, root / "main.py", HERE, {}, [], rules)
    first = gather(*args, files=files)
    opened: list[Path] = []
    really_open = Path.open

    def watched(self: Path, *rest: Any, **named: Any) -> object:
        opened.append(self)
        return really_open(self, *rest, **named)

    monkeypatch.setattr(Path, "open", watched)
    assert gather(*args, files=files) == first
    assert opened == []
    write(root, "shapes.py", SHAPES.replace("radius):", "radius, unit):"))
    os.utime(path, ns=(1, 1))
    opened.clear()
    (chunk,) = gather(*args, files=files)
    assert "unit" in chunk.text and path in opened


def test_no_identifiers_no_context(root: Path) -> None:
    others = {root / "a.py": SHAPES}
    assert gather(root, root / "main.py", Request("x = 1", ""), others, [], IgnoreRules(root)) == ()
