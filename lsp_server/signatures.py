"""Outlines of source files by tree-sitter: what a file defines, without how it does it.

    class Stack(Base):
        items: list[int]
        def push(self, item: int) -> None: ...

A type keeps its members, a function its signature, a constant its name and a short value;
comments, docstrings, annotations of Java and bodies are left out. What only the file itself can
use (`private`, a C++ class's private part) is left out too; names that are private by convention
(`name_of`) are kept as such, for the caller to decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tree_sitter import Node

from polydraft.completion.syntax import languages, parse
from polydraft.lsp_server.node_text import (
    LONGEST_HEAD,
    LONGEST_VALUE,
    body_of,
    flat,
    is_private,
    name_of,
    names_only,
    short,
    shown_value,
    text_of,
)

_DEEPEST = 8  # types, namespaces and conditions in each other
_INDENT = "    "


@dataclass(frozen=True, slots=True)
class Definition:
    """A name that a file defines; `members` are those of a type, or what a constructor sets."""

    name: str
    head: str  # a line, or two with a decorator
    members: tuple[Definition, ...] = ()
    end: str = ""  # the line behind the members, where the language has one

    @property
    def private(self) -> bool:
        """By Python's convention; a constructor or another special method is not."""
        return self.name.startswith("_") and not self.name.endswith("__")

    def text(self) -> str:
        """The definition as lines of code, each with its line end."""
        return "".join(f"{line}\n" for line in self._lines(""))

    def _lines(self, indent: str) -> Iterator[str]:
        yield from (indent + line for line in self.head.split("\n"))
        for member in self.members:
            yield from member._lines(indent + _INDENT)
        if self.end:
            yield indent + self.end


@dataclass(frozen=True, slots=True)
class _Kinds:
    """Node types of one language, by what an outline shows of them."""

    types: frozenset[str]  # the head, then the members
    functions: frozenset[str]  # all before the body
    values: frozenset[str]  # all of it, a long value cut
    through: frozenset[str]  # the definitions in it, as if they stood outside
    stop: str = ";"  # what stands for a function's body


def _kinds(types: str, functions: str, values: str, through: str, stop: str = ";") -> _Kinds:
    return _Kinds(
        frozenset(types.split()),
        frozenset(functions.split()),
        frozenset(values.split()),
        frozenset(through.split()),
        stop,
    )


_SCRIPT = _kinds(
    "class_declaration abstract_class_declaration interface_declaration",
    "function_declaration generator_function_declaration function_signature method_definition"
    " abstract_method_signature method_signature",
    "public_field_definition field_definition property_signature type_alias_declaration"
    " enum_declaration lexical_declaration variable_declaration",
    "export_statement ambient_declaration internal_module module statement_block"
    " expression_statement",
)
_C = _kinds(
    "struct_specifier class_specifier union_specifier",
    "function_definition preproc_function_def",
    "enum_specifier preproc_def declaration alias_declaration field_declaration type_definition",
    "preproc_ifdef preproc_if preproc_else preproc_elif linkage_specification declaration_list"
    " namespace_definition template_declaration",
)
_KINDS = {
    "python": _kinds(
        "class_definition",
        "function_definition",
        "assignment type_alias_statement",
        "decorated_definition expression_statement if_statement else_clause try_statement block",
        ": ...",
    ),
    "go": _kinds(
        "",
        "function_declaration method_declaration method_elem",
        "const_spec var_spec type_spec type_alias field_declaration type_elem",
        "type_declaration const_declaration var_declaration var_spec_list",
        "",
    ),
    "rust": _kinds(
        "struct_item trait_item impl_item union_item",
        "function_item function_signature_item",
        "enum_item const_item static_item type_item associated_type field_declaration",
        "mod_item declaration_list",
    ),
    "java": _kinds(
        "class_declaration interface_declaration record_declaration",
        "method_declaration constructor_declaration compact_constructor_declaration",
        "field_declaration constant_declaration enum_declaration",
        "",
    ),
    "c": _C,
    "cpp": _C,
} | dict.fromkeys(
    ("javascript", "javascriptreact", "typescript", "typescriptreact", "tsx"), _SCRIPT
)
_TARGETS = frozenset({"identifier", "pattern_list", "tuple_pattern"})
_SPECIAL = frozenset({"__init__", "__call__"})  # the rest is used without being named
_KEYWORDS = {
    "type_declaration": "type ",
    "const_declaration": "const ",
    "var_declaration": "var ",
}


def outline(text: str, language: str) -> tuple[Definition, ...]:
    """What `text` defines at its top level, in order; () if the language has no grammar here."""
    if language not in _KINDS or language not in languages():
        return ()
    return _Outliner(language, _KINDS[language]).definitions(parse(text, language), 0)


@dataclass(frozen=True, slots=True)
class _Outliner:
    language: str
    kinds: _Kinds

    def definitions(self, parent: Node, depth: int, prefix: str = "") -> tuple[Definition, ...]:
        """Those among the children of `parent`; a name with several signatures once."""
        found: dict[tuple[str, str], Definition] = {}
        # A C++ class begins with its private part.
        shown = parent.parent is None or parent.parent.type != "class_specifier"
        for node in parent.named_children:
            if node.type == "access_specifier":
                shown = text_of(node) != "private"
            elif shown and depth <= _DEEPEST:
                for each in self._of(node, depth, prefix):
                    # In Go and Rust a type's name is also that of its methods and `impl`s.
                    head = each.head if self.language in {"go", "rust"} else ""
                    found.setdefault((each.name, head), each)
        return tuple(found.values())

    def _of(self, node: Node, depth: int, prefix: str) -> Iterator[Definition]:
        if is_private(node):
            return
        kinds, kind = self.kinds, node.type
        if kind in kinds.types or self._holds_type(node):
            yield self._type(node, depth, prefix)
        elif kind in kinds.functions:
            yield from self._function(node, depth, prefix)
        elif kind in kinds.values:
            yield from self._value(node, prefix)
        elif kind in kinds.through:
            yield from self._within(node, depth, prefix)

    def _within(self, node: Node, depth: int, prefix: str) -> Iterator[Definition]:
        name, condition = map(node.child_by_field_name, ("name", "condition"))
        if text_of(name) == "tests" or "__name__" in text_of(condition):
            return  # Rust's unit tests; what Python does when the file is run
        if node.type == "template_declaration":
            inner = node.named_children[-1]
            prefix = f"{flat(node, until=inner.start_byte)} "
        prefix = _KEYWORDS.get(node.type, prefix)
        inside = self.definitions(node, depth + 1, prefix)
        if node.type == "decorated_definition" and inside:
            inside = (_decorated(node, inside[0]),)
        yield from inside

    def _holds_type(self, node: Node) -> bool:
        """`typedef struct { ... } name;` and Go's `type name struct { ... }`."""
        if node.type not in {"type_definition", "type_spec"}:
            return False
        inner = node.child_by_field_name("type")
        return inner is not None and body_of(inner) is not None

    def _type(self, node: Node, depth: int, prefix: str) -> Definition:
        inner = node.child_by_field_name("type") if self._holds_type(node) else node
        body = None if inner is None else body_of(inner)
        name = name_of(node)
        if body is None:  # a forward declaration, a tuple struct
            return Definition(name, short(prefix + flat(node)))
        head = prefix + flat(node, until=body.start_byte)
        members = self.definitions(body, depth + 1)
        if self.language == "python":
            return Definition(name, head if members else f"{head} ...", members)
        if body.type == "interface_type":
            head += " interface"
        return Definition(name, f"{head} {{", members, f"}} {flat(node, body.end_byte)}".rstrip())

    def _function(self, node: Node, depth: int, prefix: str) -> Iterator[Definition]:
        name = name_of(node)
        if self.language == "python" and name.endswith("__") and name not in _SPECIAL:
            return
        body = node.child_by_field_name("body") or node.child_by_field_name("value")
        until = node.end_byte if body is None else body.start_byte
        for child in node.named_children:
            if child.type == "field_initializer_list":  # of a C++ constructor
                until = min(until, child.start_byte)
        head = prefix + flat(node, until=until)
        if self.language == "python":
            head = head.removesuffix(":")
            if len(head) > LONGEST_HEAD:
                head = names_only(node)
        head = head.removesuffix(";")
        if node.type == "preproc_function_def":
            yield Definition(name, short(head))
            return
        sets = _sets(node) if name in {"__init__", "constructor"} else ()
        if sets and self.language == "python":
            yield Definition(name, f"{head}:", sets)
        elif sets and self.language.startswith("javascript"):
            yield Definition(name, f"{head} {{", sets, "}")
        else:
            yield Definition(name, short(head) + self.kinds.stop)

    def _value(self, node: Node, prefix: str) -> Iterator[Definition]:
        name = name_of(node)
        if node.type == "preproc_def" and node.child_by_field_name("value") is None:
            return  # an include guard
        target = node.child_by_field_name("left")
        if node.type == "assignment" and target is not None and target.type not in _TARGETS:
            return  # of an element or of another object's attribute
        if name and name != "__all__":
            yield Definition(name, prefix + shown_value(node))


def _decorated(node: Node, inner: Definition) -> Definition:
    """A property reads as an attribute, an overload is left to the first; a class keeps its own."""
    decorators = [text_of(child) for child in node.named_children if child.type == "decorator"]
    names = {text.strip("@ ").partition("(")[0].rpartition(".")[2] for text in decorators}
    if names & {"property", "cached_property"}:
        _, arrow, kind = inner.head.removesuffix(": ...").rpartition(") -> ")
        return Definition(inner.name, f"{inner.name}: {kind}" if arrow else f"{inner.name} = ...")
    if inner.head.startswith("class "):
        kept = [text for text in decorators if len(text) <= LONGEST_VALUE and "\n" not in text]
        return replace(inner, head="\n".join([*kept, inner.head]))
    return inner


def _sets(node: Node) -> tuple[Definition, ...]:
    """The attributes that a constructor sets on its own level: `self.x = ...`, `this.x = ...`."""
    body = node.child_by_field_name("body")
    found: dict[str, Definition] = {}
    for statement in () if body is None else body.named_children:
        inner = statement.named_children[:1]
        if not inner or inner[0].type not in {"assignment", "assignment_expression"}:
            continue
        target = inner[0].child_by_field_name("left")
        owner, dot, name = text_of(target).partition(".")
        if owner in {"self", "this"} and dot and name.isidentifier():
            found.setdefault(name, Definition(name, shown_value(inner[0])))
    return tuple(found.values())
