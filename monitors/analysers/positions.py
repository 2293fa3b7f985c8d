"""Offsets into a text, in code points, as language servers count them, and back."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Encoding(StrEnum):
    """What a character on a line is; the first is asked for first."""

    UTF32 = "utf-32"
    UTF8 = "utf-8"
    UTF16 = "utf-16"

    @classmethod
    def of(cls, chosen: object) -> Encoding:
        """The one that a server chose; UTF-16 if it chose none."""
        return next((each for each in cls if each.value == chosen), cls.UTF16)

    def length(self, text: str) -> int:
        if self is Encoding.UTF32:
            return len(text)
        if self is Encoding.UTF8:
            return len(text.encode("utf-8", "surrogatepass"))
        return len(text) + sum(char > "\uffff" for char in text)


def position_of(text: str, offset: int, encoding: Encoding) -> dict[str, int]:
    start = text.rfind("\n", 0, offset) + 1
    character = encoding.length(text[start:offset])
    return {"line": text.count("\n", 0, start), "character": character}


def offset_of(text: str, position: Any, encoding: Encoding) -> int:
    """Places behind a line's end are at its end, those behind the text's at the text's."""
    at = 0
    for _ in range(int(position["line"])):
        end = text.find("\n", at)
        if end < 0:
            return len(text)
        at = end + 1
    end = text.find("\n", at)
    line = text[at : end if end >= 0 else len(text)]
    left = int(position["character"])
    for index, char in enumerate(line):
        if left <= 0:
            return at + index
        left -= encoding.length(char)
    return at + len(line)
