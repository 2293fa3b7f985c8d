"""Where the context benchmark cuts: at names that only an imported file tells."""

from __future__ import annotations

from benchmarks.context import Module, Project, points

HEAD = "import os\n\n" + "# filler\n" * 10
FILES = {
    "kit/__init__.py": "from .inner import Stack as Stack\nfrom kit.inner import LIMIT\n",
    "kit/inner.py": (
        "LIMIT = 3\n\nclass Stack:\n    depth: int = 1\n    def __init__(self):\n"
        "        self.label = 'x'\n    def push(self, item): ...\n    def items(self): ...\n"
    ),
    "kit/other.py": "def unrelated_name(): ...\n",
}


def cuts(*lines: str) -> list[tuple[str, str]]:
    """(end of the prefix, truth) of the point in a file of these lines, none or one."""
    text = HEAD + "".join(f"{line}\n" for line in lines)
    texts = {**FILES, "main.py": text}
    modules = {path: Module(path, each) for path, each in texts.items()}
    project = Project("p", modules, ["main.py"])
    found = points(project)
    assert all(point.prefix + point.truth + point.suffix == text for point, _ in found)
    assert all(point.truth.startswith(name) for point, name in found)
    return [(point.prefix.rpartition("\n")[2], point.truth) for point, _ in found]


def test_a_point_lies_at_a_member_of_what_is_imported_through_a_package() -> None:
    assert cuts("from kit import Stack", "x = Stack().push(1)") == [("x = Stack().", "push(1)")]
    assert cuts("import kit.inner", "x = kit.inner.LIMIT") == [("x = kit.inner.", "LIMIT")]
    assert cuts("from kit.inner import Stack", "x = y.label") == [("x = y.", "label")]
    assert cuts("from kit.inner import Stack", "x = y.depth + y.depth") == [
        ("x = y.", "depth + y.depth")
    ]


def test_names_that_the_file_tells_itself_are_left_out() -> None:
    assert cuts("from kit import Stack", "push = 1", "x = Stack().push(1)") == []
    assert cuts("from kit import Stack", "x = Stack()") == []
    assert cuts("from kit import Stack", "class A(Stack):", "    def push(self): ...") == []


def test_names_that_need_no_file_and_files_that_are_not_imported_give_no_point() -> None:
    assert cuts("from kit import Stack", "x = Stack().items()") == []  # dict has it too
    assert cuts("from kit import Stack", "x = Stack().__init__()") == []
    assert cuts("from kit import Stack", "x = y.unrelated_name()") == []
    assert cuts("x = y.push(1)") == []
