"""Nodes of a syntax tree as one line of text each, for outlines (`signatures.py`)."""

from __future__ import annotations

import re

from tree_sitter import Node

LONGEST_HEAD = 160  # characters; a longer signature loses its types, then its end
LONGEST_VALUE = 40  # characters of a constant's value

_DROPPED = frozenset(
    {"comment", "line_comment", "block_comment", "decorator", "marker_annotation", "annotation"}
)
_BODIES = frozenset(
    {"field_declaration_list", "declaration_list", "class_body", "interface_body", "block"}
    | {"object_type"}
)
_NAME_FIELDS = ("name", "declarator", "left", "type", "property")
_DEEPEST_NAME = 20  # pointers to arrays of functions
_FUNCTIONS = frozenset({"arrow_function", "function_expression", "lambda"})
_DECLARATORS = frozenset({"variable_declarator", "init_declarator"})
_SPACED_BRACKET = re.compile(r"(?<=[(\[]) (?=\S)|,? (?=[)\]])")
_RECEIVER = re.compile(r"(\w+)\s*(?:\[[^]]*\]\s*)?\)")


def is_private(node: Node) -> bool:
    """TypeScript's and Java's `private`, JavaScript's `#name`."""
    name = node.child_by_field_name("name") or node.child_by_field_name("property")
    if name is not None and name.type == "private_property_identifier":
        return True
    first = node.named_children[:1]
    return bool(first) and (
        first[0].type in {"accessibility_modifier", "modifiers"}
        and "private" in text_of(first[0]).split()
    )


def body_of(node: Node) -> Node | None:
    """What holds the members of a type; None where there is none, or none that is shown."""
    body = node.child_by_field_name("body")
    if body is not None:
        return body if body.type in _BODIES else None
    if node.type == "interface_type":  # Go's has no node for what is between the braces
        return node
    last = node.named_children[-1:]
    return last[0] if last and last[0].type in _BODIES else None


def name_of(node: Node) -> str:
    """The name that a node defines; of an `impl` and of a Go method that of the type."""
    receiver = node.child_by_field_name("receiver")
    if receiver is not None:
        found = _RECEIVER.search(text_of(receiver))
        return found.group(1) if found else ""
    for _ in range(_DEEPEST_NAME):
        named = next(filter(None, map(node.child_by_field_name, _NAME_FIELDS)), None)
        named = named or next((each for each in node.named_children if _is_name(each)), None)
        if named is None:  # what Go's interfaces embed has no name but itself
            return text_of(node) if node.type == "type_elem" else ""
        if not named.named_child_count:
            return text_of(named)
        node = named
    return ""


def _is_name(node: Node) -> bool:
    return node.type.endswith(("declarator", "identifier"))


def shown_value(node: Node) -> str:
    """A constant or field on one line; a function's body and a long value are left out."""
    inner = next((child for child in node.named_children if child.type in _DECLARATORS), node)
    value = next(filter(None, map(inner.child_by_field_name, ("value", "right"))), None)
    if value is not None:
        body = value.child_by_field_name("body")
        if body is not None and value.type in _FUNCTIONS:
            return f"{flat(node, until=body.start_byte)} ..."
        if value.end_byte - value.start_byte > LONGEST_VALUE:
            typed = inner.child_by_field_name("type")
            head = flat(node, until=value.start_byte)
            return head.removesuffix("=").rstrip() if typed else f"{head} ..."
    tag = node.child_by_field_name("tag")  # Go's `json:"name"`
    return short(flat(node, until=node.end_byte if tag is None else tag.start_byte))


def short(line: str) -> str:
    """The line, cut where it is too long."""
    return line if len(line) <= LONGEST_HEAD else f"{line[:LONGEST_HEAD].rstrip()} ..."


def text_of(node: Node | None) -> str:
    text = None if node is None else node.text
    return "" if text is None else text.decode("utf-8", "replace")


def flat(node: Node | None, start: int = 0, until: int | None = None) -> str:
    """The text of `node` between two bytes of the file on one line, without what is dropped."""
    if node is None or node.text is None:
        return ""
    first = node.start_byte
    start, until = max(start, first), node.end_byte if until is None else until
    pieces, stack = [], [node]
    while stack:  # what is dropped, in order
        each = stack.pop()
        if each.end_byte <= start or each.start_byte >= until:
            continue
        if each.type in _DROPPED:
            pieces.append(node.text[start - first : each.start_byte - first])
            start = each.end_byte
        else:
            stack += reversed(each.named_children)
    pieces.append(node.text[start - first : max(start, until) - first])
    text = b" ".join(pieces).decode("utf-8", "replace")
    line = " ".join(text.split())
    return _SPACED_BRACKET.sub("", line) if "\n" in text else line


def names_only(node: Node) -> str:
    """A long Python signature: parameters without types and defaults."""
    shown = []
    parameters = node.child_by_field_name("parameters")
    for each in () if parameters is None else parameters.named_children:
        if each.type not in _DROPPED:
            shown.append(re.split(r"[:=]", flat(each), maxsplit=1)[0].strip())
    returns = flat(node.child_by_field_name("return_type"))
    start = "async def" if node.children[0].type == "async" else "def"
    tail = f" -> {returns}" if returns else ""
    return short(f"{start} {name_of(node)}({', '.join(shown)})") + tail
