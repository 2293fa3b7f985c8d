"""How much a list of members from jedi is worth: does it know the receiver's type, all of it?"""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

import jedi
from jedi.inference.helpers import infer_call_of_leaf

_IMPORT = re.compile(r"\s*(?:from|import)\b")
_ROOT = re.compile(r"(?<![\w.])([^\W\d]\w*)(?:\.\w+)*\.\Z")
_DYNAMIC = frozenset({"__getattr__", "__getattribute__"})
_MOST = 40  # classes in a method resolution order


def grade(script: jedi.Script, line: int, column: int) -> str:
    """`analysis.Grade` of what jedi completes there."""
    before = script._code_lines[line - 1][:column]
    if _IMPORT.match(before):
        return "closed"
    leaf = script._module_node.get_leaf_for_position((line, column)) if column else None
    receiver = leaf.get_previous_leaf() if leaf is not None and leaf.value == "." else None
    if receiver is None:
        return "open"  # names in scope: there are more ways to make one than jedi knows
    root = _ROOT.search(before)
    if root is not None and (
        _is_untyped_parameter(receiver, root.group(1)) or _is_tested(receiver, root.group(1))
    ):
        return "open"
    values = infer_call_of_leaf(script._get_module_context().create_context(receiver), receiver)
    return "closed" if values and all(map(_is_known, values)) else "open"


def _is_untyped_parameter(leaf: Any, name: str) -> bool:
    """Whether a name is a parameter without annotation: what jedi says of those is a guess, from
    defaults and from calls that it sees. One's own instance is not."""
    function = leaf.search_ancestor("funcdef", "lambdef")
    while function is not None:
        for at, parameter in enumerate(function.get_params()):
            if parameter.name.value == name:
                own = at == 0 and name in ("self", "cls")
                return parameter.annotation is None and not own
        function = function.search_ancestor("funcdef", "lambdef")
    return False


def _is_tested(leaf: Any, name: str) -> bool:
    """Whether a function asks what a name is, or the name is one of several exceptions: its type
    where it is used is another than where it was bound."""
    scope = leaf.search_ancestor("funcdef", "file_input")
    code = scope.get_code(include_prefix=False) if scope is not None else ""
    name = re.escape(name)
    tested = rf"\b(?:isinstance|hasattr|issubclass)\(\s*{name}\b|except\s*\([^)]*\)\s*as\s+{name}\b"
    return re.search(tested, code) is not None


def _is_known(value: Any) -> bool:
    """Whether all members of a value are known."""
    if value.is_module():
        return not _is_dynamic(value)
    cls = value if value.is_class() else value.py__class__()
    if "mixin" in cls.py__name__().lower():
        return False  # what it is mixed into has more
    return all(map(_is_whole, islice(cls.py__mro__(), _MOST)))


def _is_whole(cls: Any) -> bool:
    """Whether jedi knows what a class is made of, and it answers for nothing else."""
    if cls.is_compiled() or cls.py__name__() == "object":
        return True
    return all(base.infer() for base in cls.py__bases__()) and not _is_dynamic(cls)


def _is_dynamic(value: Any) -> bool:
    """Whether a module or a class has members that are made when they are asked for."""
    node = None if value.is_compiled() else value.tree_node
    if node is None or node.type not in ("classdef", "file_input"):  # a type variable, say
        return False
    return any(function.name.value in _DYNAMIC for function in node.iter_funcdefs())
