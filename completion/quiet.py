"""What a cursor stands in: code, a comment or a string; people want drafts unasked in the first."""

from __future__ import annotations

import re
from enum import StrEnum

from polydraft.completion.brackets import is_quote, scan

# A string with holes for code, by what stands before its quote, or by the quote itself.
_FORMATTED = re.compile(r"(?i)(?<![\w])(?:f|t|rf|fr|rt|tr)\Z")
_PYTHON_HOLE = re.compile(r"\{\{|\}\}|[{}]")
_TEMPLATE_HOLE = re.compile(r"\\.|\$\{|[{}]", re.DOTALL)


class Within(StrEnum):
    CODE = "code"
    COMMENTS = "comments"
    STRINGS = "strings"


def within(prefix: str, language: str) -> Within:
    """What the end of `prefix`, the document up to the cursor, lies in.

    The holes of f-strings and of JavaScript's templates are code. In prose all is.
    """
    found = scan(prefix, language)
    if not found.inside:
        return Within.CODE
    if not is_quote(found.inside):
        return Within.COMMENTS
    start = found.spans[-1][0]  # what is open at the end is the last of the spans
    body = prefix[start + len(found.inside) :]
    if found.inside == "`":
        in_hole = language != "go" and _open_hole(_TEMPLATE_HOLE.findall(body), "${")
    elif language == "python" and _FORMATTED.search(prefix[max(0, start - 3) : start]):
        in_hole = _open_hole(_PYTHON_HOLE.findall(body), "{")
    else:
        in_hole = False
    return Within.CODE if in_hole else Within.STRINGS


def _open_hole(marks: list[str], opener: str) -> bool:
    """Whether more holes were opened than closed; braces within a hole nest."""
    depth = 0
    for mark in marks:
        if mark == opener or (mark == "{" and depth):
            depth += 1
        elif mark == "}" and depth:
            depth -= 1
    return depth > 0
