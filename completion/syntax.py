"""Syntax by tree-sitter: does a text parse, and does the cursor ask for one line or for a block?

Each language has a wheel of its own, imported when the first file of that language is seen.
"""

from __future__ import annotations

import functools
import importlib

from tree_sitter import Language, Node, Parser

from polydraft.completion.brackets import open_closers, scan
from polydraft.completion.types import Request
from polydraft.completion.view import leading, opens_block, windows

# LSP language id -> (module, function that returns the grammar)
_GRAMMARS = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "javascriptreact": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "typescriptreact": ("tree_sitter_typescript", "language_tsx"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "java": ("tree_sitter_java", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
}
_BLOCKS = frozenset(
    {"block", "statement_block", "class_body", "compound_statement", "constructor_body"}
    | {"interface_body", "enum_body", "enum_variant_list", "enumerator_list", "match_block"}
    | {"declaration_list", "field_declaration_list", "statement_list", "object_type"}
)
_COMMENTS = frozenset({"comment", "line_comment", "block_comment"})
_MARK = "polydraft_cursor"
_PARSED = 12_000  # code points parsed before the cursor; a third of it behind


def languages() -> tuple[str, ...]:
    """The LSP language ids that have a grammar."""
    return tuple(_GRAMMARS)


@functools.cache
def _grammar(language: str) -> Language:
    module, name = _GRAMMARS[language]
    return Language(getattr(importlib.import_module(module), name)())


def parse(text: str, language: str) -> Node:
    """The root of `text`'s syntax tree; ValueError if the language has no grammar here."""
    if language not in _GRAMMARS:
        known = ", ".join(_GRAMMARS)
        raise ValueError(f"no grammar for {language!r}; use one of {known}")
    return Parser(_grammar(language)).parse(text.encode("utf-8", "surrogatepass")).root_node


def parses(text: str, language: str) -> bool:
    """Whether all of `text` is free of syntax errors; ValueError as for `parse`."""
    return not parse(text, language).has_error


def needs_multiline(request: Request) -> bool:
    """Whether the cursor asks for a block rather than for the rest of one line.

    It does where a block has just been opened: behind the line that opens it, or on a blank line
    in a block that holds nothing yet (comments and a docstring aside). It never does in
    mid-line, nor inside a string or a comment.
    """
    if request.multiline is not None:
        return request.multiline
    before, after = windows(request, _PARSED)
    after = after[: _PARSED // 3]
    above, _, line_before = before.rpartition("\n")
    line_after, _, below = after.partition("\n")
    if line_after.strip():
        return False
    found = scan(before, request.language)
    if found.inside:
        return False
    next_line = next((line for line in below.split("\n") if line.strip()), "")
    if line_before.strip():
        return _opens(line_before, before, request.language) and not _deeper(next_line, line_before)
    previous = next((line for line in reversed(above.split("\n")) if line.strip()), "")
    if _opens(previous, above.rstrip(), request.language) or _is_decorator(previous, request):
        return not _deeper(next_line, previous)
    return _in_empty_block(above, line_before, below, request.language)


def _opens(line: str, before: str, language: str) -> bool:
    """Whether `line`, the last of `before`, opens a block (and not a dict entry or a slice)."""
    if not opens_block(line, language):
        return False
    if language == "python" and line.rstrip().endswith(":"):
        return not open_closers(scan(before, language).events)
    return True


def _deeper(line: str, than: str) -> bool:
    return len(leading(line).expandtabs(4)) > len(leading(than).expandtabs(4))


def _is_decorator(line: str, request: Request) -> bool:
    return request.language == "python" and line.lstrip().startswith("@")


def _in_empty_block(above: str, line_before: str, below: str, language: str) -> bool:
    """Whether the block around the cursor holds nothing but comments and a docstring."""
    if language not in _GRAMMARS:
        return False
    head = f"{_from_top_level(above)}\n{line_before}".encode("utf-8", "surrogatepass")
    mark = _MARK if language == "python" else f"{_MARK};"
    tail = f"{mark}\n{below}".encode("utf-8", "surrogatepass")
    root = Parser(_grammar(language)).parse(head + tail).root_node
    node = root.named_descendant_for_byte_range(len(head), len(head) + len(_MARK))
    if node is None or node.text != _MARK.encode():
        return False
    child = node
    while node is not None and node.type not in _BLOCKS:
        child, node = node, node.parent
    if node is None:
        return False
    others = [n for n in node.named_children if n.id != child.id and n.type not in _COMMENTS]
    if language == "python" and others and _is_docstring(others[0]):
        others = others[1:]
    if node.type == "statement_list":  # Go keeps the statements of a block one level down
        others = [n for n in others if n.type != "empty_statement"]
    return not others


def _from_top_level(text: str) -> str:
    """`text`, a window that may begin anywhere, from its first line without indentation on."""
    if len(text) < _PARSED // 2 or not text[0].isspace():
        return text
    at = 0
    while 0 <= at < len(text) // 2 and text[at].isspace():
        at = text.find("\n", at) + 1 or -1
    return text[at:] if 0 <= at < len(text) // 2 else text


def _is_docstring(node: Node) -> bool:
    if node.type != "expression_statement" or node.named_child_count != 1:
        return False
    return node.named_children[0].type == "string"
