"""Points to complete right behind a dereference operator, cut from pinned projects.

The truth is the name that stands there and all that follows in its line, a comment at the line's
end aside; the rest of the file is kept. Deterministic, at most one point a line and a few a file.

Glossary
    receiver  what stands before the operator
    store     the name is an assignment's target, at a statement's start: it may be new
    kind      call: the name is called (mostly a method); module: the receiver is an imported
              module, or a C++ namespace or class; constant: in capitals, behind a name (enum
              members, mostly); type: where a type is expected; else attribute
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tree_sitter import Node

from benchmarks.workspaces import Source, root, sources
from polydraft.completion.syntax import parse

LANGUAGES = ("python", "typescript", "cpp")
PER_PROJECT, PER_FILE = 50, 4
_LONGEST_LINE, _SMALLEST_FILE, _LARGEST_FILE = 120, 1500, 100_000
_ENDINGS = {"python": (".py",), "typescript": (".ts",), "cpp": (".cc", ".cpp", ".h", ".hpp")}
_DEREFERENCES = frozenset({"attribute", "member_expression", "field_expression"})
_SCOPES = frozenset({"qualified_identifier", "nested_identifier", "nested_type_identifier"})
_PRUNED = frozenset(
    {"string", "template_string", "comment", "ERROR", "import_statement", "import_from_statement"}
    | {"import_alias", "future_import_statement", "using_declaration", "string_literal"}
    | {"raw_string_literal", "preproc_include", "preproc_def", "preproc_function_def"}
)
_NAME = re.compile(r"[^\W\d][\w$]*")
_MODULES = re.compile(r"^\s*import ([\w., ]+)$", re.MULTILINE)
_NAMESPACES = re.compile(r"^\s*import \* as (\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Place:
    """[start, end) is the truth; `resume` is where the kept rest begins, at the line's end."""

    start: int
    end: int
    resume: int
    kind: str
    store: bool


@dataclass(frozen=True, slots=True)
class Point:
    project: str
    path: str  # below the project's root
    language: str
    kind: str
    store: bool
    prefix: str
    suffix: str
    truth: str

    @property
    def name(self) -> str:
        return f"{self.project}/{self.path}:{len(self.prefix)}"

    def filled(self, text: str) -> str:
        return self.prefix + text + self.suffix


def points(language: str, split: str) -> list[Point]:
    """All points of "dev", "test" or "all", shuffled: any first part of them is a fair sample."""
    found: list[Point] = []
    for source in sources():
        if source.language == language and split in (source.split, "all"):
            found += project_points(source.name, language, files(source))
    random.Random(0).shuffle(found)
    return found


def files(source: Source) -> dict[str, str]:
    """Path below the root -> text, without tests and generated code."""
    found = {}
    base = root(source)
    for path in sorted((base / source.folder).rglob("*")):
        below = path.relative_to(base).as_posix()
        skipped = any(word in below for word in source.skip)
        if path.suffix not in _ENDINGS[source.language] or skipped or not _wanted(below):
            continue
        text = path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
        if _SMALLEST_FILE < len(text) < _LARGEST_FILE and "enerated by" not in text[:500]:
            found[below] = text
    return found


def _wanted(path: str) -> bool:
    parts = Path(path).parts
    return not path.endswith(".d.ts") and not any(
        any(word in part for word in ("test", "benchmark", "fuzz", "node_modules"))
        for part in parts
    )


def project_points(project: str, language: str, texts: Mapping[str, str]) -> list[Point]:
    """Up to `PER_PROJECT`, from files in a fixed random order."""
    order = sorted(texts)
    random.Random(project).shuffle(order)
    taken: list[Point] = []
    for path in order:
        text = texts[path]
        found = list(places(text, language))
        chooser = random.Random(f"{project} {path}")
        chooser.shuffle(found)
        lines: set[int] = set()
        for place in found:
            if place.resume not in lines and len(lines) < PER_FILE:
                lines.add(place.resume)
                taken.append(
                    Point(
                        project, path, language, place.kind, place.store, text[: place.start],
                        text[place.resume :], text[place.start : place.end],
                    )
                )  # fmt: skip
        if len(taken) >= PER_PROJECT:
            break
    return taken[:PER_PROJECT]


def places(text: str, language: str) -> Iterator[Place]:
    """Every dereference whose line can be completed, outside of what does not parse."""
    tree = parse(text, language)
    spelled = text.encode("utf-8", "surrogatepass")
    modules = _modules(text, language)
    comments = [node.start_byte for node in _nodes(tree, frozenset()) if node.type == "comment"]
    ends = {spelled.count(b"\n", 0, at): at for at in reversed(comments)}
    for node in _nodes(tree, _PRUNED):
        if node.type not in _DEREFERENCES | _SCOPES:
            continue
        operator, name = _operator_and_name(node)
        if operator is None or name is None or operator.end_byte != name.start_byte:
            continue
        start = name.start_byte
        resume = spelled.find(b"\n", start)
        resume = len(spelled) if resume < 0 else resume
        end = min(ends.get(name.start_point.row, resume), resume)
        end = start + len(spelled[start:end].rstrip())
        begun = spelled.rfind(b"\n", 0, start) + 1
        if resume - begun > _LONGEST_LINE or name.start_point.row < 9 or end <= start:
            continue
        receiver = spelled[node.start_byte : operator.start_byte].decode("utf-8", "replace")
        at = [len(spelled[:offset].decode("utf-8", "surrogatepass")) for offset in (start, end)]
        over = at[1] + len(spelled[end:resume].decode("utf-8", "surrogatepass"))
        yield Place(at[0], at[1], over, _kind(receiver, name, node, modules), _is_store(node))


def _nodes(root_node: Node, pruned: frozenset[str]) -> Iterator[Node]:
    waiting = [root_node]
    while waiting:
        node = waiting.pop()
        if node.type not in pruned:
            yield node
            waiting += reversed(node.children)


def _operator_and_name(node: Node) -> tuple[Node | None, Node | None]:
    """The operator of a dereference and the name behind it, without type arguments and the like."""
    for before, name in zip(node.children, node.children[1:], strict=False):
        if before.type in (".", "->", "::", "?.", "optional_chain"):
            leaf = name
            while leaf.child_count:
                leaf = leaf.children[0]
            known = leaf.text is not None and _NAME.fullmatch(leaf.text.decode("utf-8", "replace"))
            return before, leaf if known and leaf.type != "template" else None
    return None, None


def _is_store(node: Node) -> bool:
    target = node
    if node.parent is not None and node.parent.type in ("pattern_list", "tuple_pattern"):
        target = node.parent
    parent = target.parent
    if parent is None or parent.type not in ("assignment", "assignment_expression"):
        return False
    left = parent.child_by_field_name("left")
    statement = parent.parent is not None and parent.parent.type == "expression_statement"
    return statement and left is not None and left.id == target.id


def _is_called(node: Node) -> bool:
    parent = node.parent
    if parent is None or parent.type not in ("call", "call_expression", "new_expression"):
        return False
    called = parent.child_by_field_name("function") or parent.child_by_field_name("constructor")
    return called is not None and called.id == node.id


def _kind(receiver: str, name: Node, node: Node, modules: frozenset[str]) -> str:
    spelled = (name.text or b"").decode("utf-8", "replace")
    if node.type == "qualified_identifier" or receiver in modules:
        return "module"
    if node.type in _SCOPES or name.type == "type_identifier":
        return "type"
    if _is_called(node):
        return "call"
    if spelled.isupper() and len(spelled) > 1 and _NAME.fullmatch(receiver.split(".")[-1]):
        return "constant"
    return "attribute"


def _modules(text: str, language: str) -> frozenset[str]:
    """The names by which whole modules are imported."""
    if language == "typescript":
        return frozenset(_NAMESPACES.findall(text))
    if language != "python":
        return frozenset()
    parts = (part.strip() for line in _MODULES.findall(text) for part in line.split(","))
    return frozenset(part.rpartition(" as ")[2].strip() for part in parts)
