"""A client's analysers, each over one workspace folder, and the monitors of its requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from polydraft.lsp_server.documents import Document, with_line_feeds
from polydraft.lsp_server.settings import NO_ANALYSER, Settings
from polydraft.monitors.analysers.catalogue import default_for
from polydraft.monitors.analysers.locate import workspace_python
from polydraft.monitors.analysis import (
    Analyser,
    AnalyserError,
    AnalyserSettings,
    Buffer,
    FileChange,
    Question,
)
from polydraft.monitors.broker import HANG, Broker
from polydraft.monitors.listed import Listed, Typed
from polydraft.monitors.vocabularies import Vocabularies

if TYPE_CHECKING:  # it imports torch
    from polydraft.monitors.monitoring import DocumentMonitoring

MakeAnalyser = Callable[[str, AnalyserSettings], Analyser | None]
"""(name, settings) -> the analyser, None: do without; raises `AnalyserError` for users."""


def no_analyser(name: str, settings: AnalyserSettings) -> Analyser | None:
    """There are none."""
    return None


_MOST_OTHERS = 24  # open documents that an analyser is told of


@dataclass(slots=True)
class _Analyst:
    """An analyser over a folder."""

    broker: Broker
    listed: Listed = field(default_factory=Listed)


class Analysts:
    """`report` hears what users should, on any thread. All methods run on one thread."""

    def __init__(
        self, make: MakeAnalyser, vocabularies: Vocabularies, report: Callable[[str], None]
    ) -> None:
        self.trusted = False
        self._make = make
        self._vocabularies = vocabularies
        self._report = report
        self._analysts: dict[tuple[Path, str], _Analyst | None] = {}  # None: it is not there
        self._typed: tuple[str, Listed, Typed] | None = None  # with its document's URI
        self._defaults: dict[tuple[Path, str], str | None] = {}  # by language

    def monitoring(
        self, document: Document, root: Path | None, settings: Settings, others: Iterable[Document]
    ) -> DocumentMonitoring | None:
        """What watches over a document's drafts; None: nothing does."""
        if not settings.monitors:
            return None
        from polydraft.monitors.monitoring import DocumentMonitoring  # which imports torch
        from polydraft.monitors.strictness import STRICTNESS

        analyst = self._analyst(document, root, settings)
        broker = None if analyst is None else analyst.broker
        strictness = STRICTNESS[settings.strictness]
        if analyst is not None:
            penalty = analyst.listed.penalty(strictness.penalty)
            strictness = replace(strictness, penalty=penalty)
        unsaved = tuple(_buffer(other) for other in others if _is_kin(other, document))
        return DocumentMonitoring(
            _path(document),
            self._vocabularies,
            broker,
            unsaved[:_MOST_OTHERS] if broker is not None else (),
            settings.monitors,
            strictness,
        )

    def typed(
        self,
        document: Document,
        offset: int,
        root: Path | None,
        settings: Settings,
        others: Iterable[Document],
    ) -> None:
        """The user has typed an operator up to `offset`: what a request there will ask is asked,
        and the name that stands behind the last one is learnt from."""
        before = with_line_feeds(document.text[:offset])
        if self._typed is not None:
            uri, listed, last = self._typed
            outcome = last.outcome(before) if uri == document.uri else None
            if outcome is not None:
                listed.learn(outcome)
        self._typed = None
        monitoring = self.monitoring(document, root, settings, others)
        analyst = self._analyst(document, root, settings)
        if monitoring is None or analyst is None:
            return
        after = with_line_feeds(document.text[offset:])
        typed = monitoring.typed(before, after, document.language)
        if typed is not None:
            self._typed = document.uri, analyst.listed, typed

    def warm(self, document: Document, root: Path | None, settings: Settings) -> None:
        """Start the analyser of a document that has been opened: that may take seconds."""
        analyst = self._analyst(document, root, settings) if settings.monitors else None
        if analyst is not None:
            question = Question(_buffer(document), 0)
            analyst.broker.ask(
                ("warm", document.uri), lambda analyser: analyser.names(question, HANG)
            )

    def files_changed(self, changes: Sequence[FileChange]) -> None:
        """Files of whichever folder were made, changed or removed."""
        for (root, _), analyst in self._analysts.items():
            mine = [each for each in changes if Path(each.path).is_relative_to(root)]
            if analyst is not None and mine:
                analyst.broker.files_changed(mine)

    def keep_only(self, roots: Iterable[Path]) -> None:
        """Folders were closed: their analysers end."""
        kept = set(roots)
        for key in [key for key in self._analysts if key[0] not in kept]:
            analyst = self._analysts.pop(key)
            if analyst is not None:
                analyst.broker.close()

    def close(self) -> None:
        self.keep_only(())

    def _analyst(
        self, document: Document, root: Path | None, settings: Settings
    ) -> _Analyst | None:
        language = document.language
        chosen = dict(settings.analysers).get(language, "")
        if root is None and document.path is not None:
            root = document.path.parent
        if chosen == NO_ANALYSER or root is None:
            return None
        name = chosen or self._default(language, root)
        if name is None:
            return None
        key = root, name
        if key not in self._analysts:
            self._analysts[key] = self._made(name, root)
        return self._analysts[key]

    def _default(self, language: str, root: Path) -> str | None:
        key = root, language
        if key not in self._defaults:
            self._defaults[key] = default_for(language, self._settings(root))
        return self._defaults[key]

    def _settings(self, root: Path) -> AnalyserSettings:
        return AnalyserSettings(str(root), workspace_python(root, self.trusted), self.trusted)

    def _made(self, name: str, root: Path) -> _Analyst | None:
        try:
            analyser = self._make(name, self._settings(root))
        except AnalyserError as error:
            self._report(f"{error} Drafts come without its checks.")
            return None
        return None if analyser is None else _Analyst(Broker(analyser, self._report))


def _buffer(document: Document) -> Buffer:
    return Buffer(_path(document), document.language, with_line_feeds(document.text))


def _path(document: Document) -> str:
    return "" if document.path is None else str(document.path)


def _is_kin(other: Document, document: Document) -> bool:
    """Whether an analyser of the one reads the other."""
    same = other.language[:10] == document.language[:10]  # typescript and typescriptreact
    return same and other.uri != document.uri and other.path is not None and not other.binary
