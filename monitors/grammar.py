"""What monitors need to know of a language's spelling: names, operators, statements' beginnings."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

NAMES_FOLLOW = (".", "->", "::", "(", "import ", "from ")  # what analysers are asked behind


@dataclass(frozen=True)
class Grammar:
    """`operators` lead from a receiver to its member; `extra` are characters of names beside
    letters, digits and `_`."""

    operators: tuple[str, ...] = (".",)
    extra: str = ""
    open_classes: bool = False  # members may be made by assignment
    words: frozenset[str] = field(default_factory=frozenset)  # that no operator may follow
    instances: frozenset[str] = field(default_factory=frozenset)  # one's own, by their usual names
    stop: str = ""  # ends an expression also within brackets, whatever follows

    @cached_property
    def name_pattern(self) -> str:
        """A regular expression of one name."""
        extra = re.escape(self.extra)
        begin = rf"(?:[^\W\d]|[{extra}])" if extra else r"[^\W\d]"
        return rf"{begin}[\w{extra}]*"

    @cached_property
    def longest_first(self) -> tuple[str, ...]:
        """The operators, those before others that they begin with."""
        return tuple(sorted(self.operators, key=len, reverse=True))

    @cached_property
    def operator(self) -> str:
        """A regular expression of any operator."""
        return "|".join(map(re.escape, self.longest_first))

    @cached_property
    def name(self) -> re.Pattern[str]:
        return re.compile(self.name_pattern)

    @cached_property
    def member(self) -> re.Pattern[str]:
        return re.compile(rf"(?:{self.operator})({self.name_pattern})")

    def name_at_end(self, text: str) -> str:
        """A name, or digits and what follows, at the very end of a text."""
        at = len(text)
        while at and self.goes_on(text[at - 1]):
            at -= 1
        return text[at:]

    def goes_on(self, char: str) -> bool:
        """Whether a name may go on with it."""
        return char.isalnum() or char == "_" or char in self.extra

    def members_of(self, receiver: str) -> re.Pattern[str]:
        """A name behind `receiver`, a path of names and operators; its group is the name."""
        return re.compile(
            rf"(?<![\w.]){re.escape(receiver)}(?:{self.operator})({self.name_pattern})"
        )

    @lru_cache(maxsize=64)  # noqa: B019  # there are a dozen grammars
    def binding(self, name: str) -> re.Pattern[str]:
        """What a line holds that may give `name` a value, or begin a scope of names."""
        name = re.escape(name)
        assigned = rf"\b{name}\b[\w.\[\]'\", ]*(?::[^=\n]*)?=(?!=)"
        declared = "" if self.open_classes else rf"|[\w>*&\]]\s*[\s*&]{name}\b"
        scoped = r"|\b(?:def|class|lambda|for|as|import|function|fn|func|struct|impl)\b|=>"
        return re.compile(assigned + declared + scoped)

    def name_at_start(self, text: str) -> str:
        found = re.match(rf"[\w{re.escape(self.extra)}]*", text)
        return found.group() if found else ""


_PYTHON_WORDS = frozenset(keyword.kwlist) - {"None", "True", "False"}
_SCRIPT = Grammar(
    (".", "?."),
    "$",
    words=frozenset({"return", "case", "typeof", "await", "in", "of", "new", "delete", "void"})
    | {"throw", "else", "do", "yield"},
)
_C = Grammar((".", "->", "::"), words=frozenset({"return", "case", "else", "throw"}))
_GRAMMARS = {
    "python": Grammar(
        (".",),
        open_classes=True,
        words=_PYTHON_WORDS,
        instances=frozenset({"self", "cls"}),
        stop=";",
    ),
    "javascript": replace(_SCRIPT, open_classes=True),
    "javascriptreact": replace(_SCRIPT, open_classes=True),
    "typescript": _SCRIPT,
    "typescriptreact": _SCRIPT,
    "c": _C,
    "cpp": _C,
    "go": Grammar((".",), words=frozenset({"return", "case", "range", "else"})),
    "rust": Grammar((".", "::"), words=frozenset({"return", "match", "in", "else"})),
    "java": Grammar((".", "::"), words=frozenset({"return", "case", "throw", "else"})),
}


@lru_cache(maxsize=64)
def grammar_of(language: str) -> Grammar:
    """Of an LSP language id; one that is not known has names and a dot."""
    return _GRAMMARS.get(language, Grammar())
