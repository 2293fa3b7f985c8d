"""A language server as an analyser."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from polydraft.monitors.analysers.language_server import LanguageServer, ServerSettings
from polydraft.monitors.analysers.lsp_replies import names_of, problems_of, signatures_of
from polydraft.monitors.analysers.restarted import Restarted
from polydraft.monitors.analysis import (
    AnalyserError,
    AnalyserSettings,
    FileChange,
    Grade,
    Name,
    Names,
    Problem,
    Question,
    Signature,
    Starting,
)
from polydraft.monitors.grammar import grammar_of

T = TypeVar("T")

_MEMORY = 2_000_000_000  # bytes above which it is started anew
_MOST = 3000  # names; more of them are no type


@dataclass(frozen=True, slots=True)
class Traits:
    """What is special about a server.

    `knows`: a list of members that it gives is the whole of them. `diagnoses`: what it says of
    errors is about the text that it was just told.
    """

    languages: frozenset[str]
    knows: bool = True
    diagnoses: bool = True
    settings: ServerSettings = field(default_factory=ServerSettings)


class LspAnalyser:
    """Implements `analysis.Analyser`."""

    def __init__(
        self, name: str, command: Sequence[str], traits: Traits, settings: AnalyserSettings
    ) -> None:
        self.name = name
        self.languages = traits.languages
        self._traits = traits
        self._process = Restarted(
            name, lambda: LanguageServer(name, tuple(command), settings.root, traits.settings)
        )

    def names(self, question: Question, timeout: float) -> Names:
        def ask(server: LanguageServer, uri: str, until: float) -> Names:
            reply = server.ask("textDocument/completion", uri, question.offset, until)
            if server.is_inactive(uri, question.offset):
                return Names((), Grade.UNKNOWN)  # what is in scope anywhere, not the members
            before = question.buffer.text[question.offset - 1 : question.offset]
            found = names_of(reply, in_string=before in ("'", '"'))
            return Names(tuple(found), self._grade(question, found))

        return self._with_server(question, timeout, ask)

    def signatures(self, question: Question, timeout: float) -> tuple[Signature, ...]:
        def ask(server: LanguageServer, uri: str, until: float) -> tuple[Signature, ...]:
            reply = server.ask("textDocument/signatureHelp", uri, question.offset, until)
            return signatures_of(reply)

        return self._with_server(question, timeout, ask)

    def problems(self, question: Question, timeout: float) -> tuple[Problem, ...]:
        if not self._traits.diagnoses:
            return ()

        def ask(server: LanguageServer, uri: str, until: float) -> tuple[Problem, ...]:
            found = server.diagnostics(uri, until)
            return problems_of(found, lambda position: server.offset(uri, position))

        return self._with_server(question, timeout, ask)

    def files_changed(self, changes: Sequence[FileChange]) -> None:
        server = self._process.current
        if server is not None:
            server.files_changed(changes)

    def close(self) -> None:
        self._process.close()

    def _grade(self, question: Question, found: Sequence[Name]) -> Grade:
        if len(found) > _MOST or not any(_tells(name.text) for name in found):
            return Grade.UNKNOWN
        head = question.buffer.text[max(0, question.offset - 8) : question.offset]
        operators = grammar_of(question.buffer.language).operators
        if not self._traits.knows or not head.endswith(operators):
            return Grade.OPEN
        return Grade.CLOSED

    def _with_server(
        self, question: Question, timeout: float, ask: Callable[[LanguageServer, str, float], T]
    ) -> T:
        server = self._process.get()
        until = time.monotonic() + timeout
        try:
            server.wait(until)
            uri = server.tell((question.buffer, *question.others))
            answer = ask(server, uri, until)
        except TimeoutError:
            self._process.end(server)
            raise AnalyserError(f"{self.name} did not answer within {timeout:g} s.") from None
        except Starting:
            raise
        except AnalyserError:
            self._process.end(server)
            raise
        if server.child.memory() > _MEMORY:
            self._process.end(server)
        return answer


def _tells(name: str) -> bool:
    """Whether a name says something of the receiver: every object has the others."""
    return not (name.startswith("__") and name.endswith("__"))
