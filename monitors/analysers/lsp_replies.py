"""What language servers answer, read leniently: each leaves out and adds what it likes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from polydraft.monitors.analysis import How, Kind, Name, Parameter, Problem, Signature

Offset = Callable[[Any], int]
"""A protocol's position -> an offset into the buffer, in code points."""

_TEXT, _KEYWORD, _SNIPPET = 1, 14, 15
_KINDS = {
    2: Kind.FUNCTION,
    3: Kind.FUNCTION,
    4: Kind.FUNCTION,
    7: Kind.CLASS,
    8: Kind.CLASS,
    9: Kind.MODULE,
    13: Kind.CLASS,
    22: Kind.CLASS,
    25: Kind.CLASS,
}
_NAME = re.compile(r"[^\W\d][\w$]*|[#$][\w$]*")
_ERROR = 1


def names_of(reply: Any, in_string: bool = False) -> list[Name]:
    """Of a completion list; words of the file, keywords and snippets are no names.

    `in_string`: it was asked for what a string may be, which need not be spelled like a name.
    """
    items = reply.get("items", []) if isinstance(reply, dict) else reply
    found: dict[str, Name] = {}
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and item.get("kind") not in (_TEXT, _KEYWORD, _SNIPPET):
            for text in _string(item) if in_string else _spelled(item):
                found.setdefault(text, Name(text, _kind(item, text)))
    return list(found.values())


def _string(item: dict[str, Any]) -> Iterator[str]:
    """The text of a string that an item would write, without quotes."""
    edit = item.get("textEdit")
    written = edit.get("newText") if isinstance(edit, dict) else item.get("insertText")
    text = (written if isinstance(written, str) else str(item.get("label", ""))).strip("\"'")
    if text:
        yield text


def _spelled(item: dict[str, Any]) -> Iterator[str]:
    """What an item would write, without operators, parentheses and the like around it."""
    label = str(item.get("label", "")).strip()
    edit = item.get("textEdit")
    candidates = [
        item.get("filterText"),
        item.get("insertText") if item.get("insertTextFormat", 1) == 1 else None,
        edit.get("newText") if isinstance(edit, dict) else None,
        label,
    ]
    for candidate in candidates:
        if isinstance(candidate, str) and candidate:
            if candidate.isidentifier():
                yield candidate
                return
            found = _NAME.search(candidate.lstrip("?.:->&* "))
            if found:
                yield found.group()
                return


def _kind(item: dict[str, Any], text: str) -> Kind:
    label = str(item.get("label", ""))
    if label.startswith(text) and label[len(text) :].startswith(("=", "?=")):
        return Kind.ARGUMENT
    return _KINDS.get(item.get("kind", 0), Kind.VALUE)


def signatures_of(reply: Any) -> tuple[Signature, ...]:
    """Of a signature help; what cannot be read is left out."""
    if not isinstance(reply, dict):
        return ()
    given = reply.get("signatures")
    found = (_signature(each) for each in given) if isinstance(given, list) else ()
    return tuple(each for each in found if each is not None)


def _signature(given: Any) -> Signature | None:
    if not isinstance(given, dict) or not isinstance(given.get("parameters"), list):
        return None
    label = str(given.get("label", ""))
    if "(...)" in label:  # ty's for what it does not know: any arguments
        return None
    parameters: list[Parameter] = []
    how = How.EITHER
    for each in given["parameters"]:
        spelled = _label(each, label)
        if spelled == "*":
            how = How.KEYWORD
        elif spelled == "/":
            parameters = [Parameter(p.name, How.POSITIONAL, p.required) for p in parameters]
        elif (parameter := _parameter(spelled, how)) is None:
            return None
        else:
            parameters.append(parameter)
            how = How.KEYWORD if parameter.how is How.MORE else how
    return Signature(tuple(parameters))


def _label(parameter: Any, label: str) -> str:
    spelled = parameter.get("label") if isinstance(parameter, dict) else None
    if isinstance(spelled, list) and len(spelled) == 2:  # in UTF-16 code units
        units = label.encode("utf-16-le", "surrogatepass")
        spelled = units[2 * spelled[0] : 2 * spelled[1]].decode("utf-16-le", "replace")
    return str(spelled or "").strip()


def _parameter(spelled: str, how: How) -> Parameter | None:
    stars = len(spelled) - len(spelled.lstrip("*."))
    found = _NAME.match(spelled[stars:])
    if found is None:
        return None
    if stars:
        return Parameter(found.group(), How.ANY_KEYWORD if stars == 2 else How.MORE, False)
    behind = spelled[found.end() :].lstrip()
    return Parameter(found.group(), how, not ("=" in behind or behind.startswith("?")))


def problems_of(reply: Any, offset: Offset) -> tuple[Problem, ...]:
    """The errors in a list of diagnostics."""
    found = []
    for each in reply if isinstance(reply, list) else ():
        if not isinstance(each, dict) or each.get("severity", _ERROR) != _ERROR:
            continue
        try:
            start, end = offset(each["range"]["start"]), offset(each["range"]["end"])
        except (KeyError, TypeError):
            continue
        found.append(Problem(start, end, str(each.get("message", "")), str(each.get("code", ""))))
    return tuple(found)
