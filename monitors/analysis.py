"""What monitors ask of static analysis, and what it answers: types and one protocol.

Analysers are blocking and run in threads or processes of their own; who asks and how long they wait
is the broker's business (`broker.py`), what follows from an answer the monitors'.

Glossary
    buffer     a document as it is in the editor, saved or not, perhaps with a draft in it
    question   what may stand at an offset of a buffer, or what is wrong with it
    grade      how much an answer is worth: see `Grade`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Protocol


class Grade(StrEnum):
    """How much the list of names is worth."""

    CLOSED = "closed"  # the type is known, and with it all that it has
    OPEN = "open"  # partly known: there may be more names than these
    DEFINING = "defining"  # a name may be made here: no constraint
    UNKNOWN = "unknown"  # nothing is known: no constraint


class Kind(StrEnum):
    """What a name stands for, as far as monitors care."""

    CLASS = "class"  # and enum, interface, struct, type parameter
    FUNCTION = "function"  # and method, constructor
    MODULE = "module"
    ARGUMENT = "argument"  # the name of an argument to be given by its name
    VALUE = "value"  # anything else


@dataclass(frozen=True, slots=True)
class Name:
    text: str
    kind: Kind = Kind.VALUE


@dataclass(frozen=True, slots=True)
class Buffer:
    """`path` is absolute, "" for a document without a file; `language` an LSP language id."""

    path: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """About `buffer` at `offset` (code points); `others` are the editor's other open documents."""

    buffer: Buffer
    offset: int
    others: tuple[Buffer, ...] = ()


@dataclass(frozen=True, slots=True)
class Names:
    """What may stand at the offset; what is typed already of the name is not taken into account.

    Behind a dereference operator these are the members of what stands before it; elsewhere names
    in scope, and within a call's parentheses also arguments by name (`Kind.ARGUMENT`). `grade` is
    CLOSED only where the analyser knows that the list is complete.
    """

    names: tuple[Name, ...]
    grade: Grade


class How(StrEnum):
    """How an argument may be given (`inspect.Parameter.kind`)."""

    POSITIONAL = "positional only"
    EITHER = "positional or keyword"
    KEYWORD = "keyword only"
    MORE = "*args"
    ANY_KEYWORD = "**kwargs"


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    how: How = How.EITHER
    required: bool = True


@dataclass(frozen=True, slots=True)
class Signature:
    """Of what is called by the innermost open parenthesis at the offset, `self` left out."""

    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """An error that the analyser sees in the buffer, from `start` to `end` (code points)."""

    start: int
    end: int
    message: str
    code: str = ""  # the analyser's own name of the rule, e.g. "unresolved-attribute"


class Changed(IntEnum):
    """As the language server protocol numbers them."""

    CREATED = 1
    CHANGED = 2
    DELETED = 3


@dataclass(frozen=True, slots=True)
class FileChange:
    """What happened to a file on disk; `path` is absolute."""

    path: str
    how: Changed


class AnalyserError(Exception):
    """The analyser is not there, has died, hangs, or answers nonsense; the text is for users."""


class Starting(AnalyserError):
    """The analyser is not ready yet; it will be."""


class Analyser(Protocol):
    """One analyser over one workspace folder; starts at the first question.

    Every method blocks for at most about `timeout` seconds and raises `AnalyserError` if there is
    no answer by then or never will be; after that the analyser may be asked again, and starts anew
    if it has to. One question at a time: calls come from one thread.
    """

    @property
    def name(self) -> str: ...

    @property
    def languages(self) -> frozenset[str]:
        """LSP language ids."""

    def names(self, question: Question, timeout: float) -> Names: ...

    def signatures(self, question: Question, timeout: float) -> tuple[Signature, ...]:
        """Every overload; empty if no call is open there, or what it calls is not known."""

    def problems(self, question: Question, timeout: float) -> tuple[Problem, ...]:
        """Errors of the whole buffer (the offset says nothing); empty if it cannot tell."""

    def files_changed(self, changes: Sequence[FileChange]) -> None:
        """Hear what happened on disk; never waits, and starts nothing."""

    def close(self) -> None:
        """End its process and all children of it. Idempotent, from any thread."""


@dataclass(frozen=True, slots=True)
class AnalyserSettings:
    """What an analyser needs to know of the workspace."""

    root: str  # absolute path of the folder
    python: str = ""  # interpreter of the workspace's own environment; "": none known
    trusted: bool = False  # whether programs of the workspace may be run
    options: Mapping[str, object] = field(default_factory=dict)  # the server's own settings
