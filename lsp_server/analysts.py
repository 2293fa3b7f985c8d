"""A client's analysers, each over one workspace folder, and the monitors of its requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
from polydraft.monitors.vocabularies import Vocabularies

if TYPE_CHECKING:  # it imports torch
    from polydraft.monitors.monitoring import DocumentMonitoring

MakeAnalyser = Callable[[str, AnalyserSettings], Analyser | None]
"""(name, settings) -> the analyser, None: do without; raises `AnalyserError` for users."""


def no_analyser(name: str, settings: AnalyserSettings) -> Analyser | None:
    """There are none."""
    return None


_MOST_OTHERS = 24  # open documents that an analyser is told of


class Analysts:
    """`report` hears what users should, on any thread. All methods run on one thread."""

    def __init__(
        self, make: MakeAnalyser, vocabularies: Vocabularies, report: Callable[[str], None]
    ) -> None:
        self.trusted = False
        self._make = make
        self._vocabularies = vocabularies
        self._report = report
        self._brokers: dict[tuple[Path, str], Broker | None] = {}  # None: it is not there
        self._defaults: dict[tuple[Path, str], str | None] = {}  # by language

    def monitoring(
        self, document: Document, root: Path | None, settings: Settings, others: Iterable[Document]
    ) -> DocumentMonitoring | None:
        """What watches over a document's drafts; None: nothing does."""
        if not settings.monitors:
            return None
        from polydraft.monitors.monitoring import DocumentMonitoring  # which imports torch
        from polydraft.monitors.strictness import STRICTNESS

        broker = self._broker(document, root, settings)
        unsaved = tuple(_buffer(other) for other in others if _is_kin(other, document))
        return DocumentMonitoring(
            _path(document),
            self._vocabularies,
            broker,
            unsaved[:_MOST_OTHERS] if broker is not None else (),
            settings.monitors,
            STRICTNESS[settings.strictness],
        )

    def warm(self, document: Document, root: Path | None, settings: Settings) -> None:
        """Start the analyser of a document that has been opened: that may take seconds."""
        broker = self._broker(document, root, settings) if settings.monitors else None
        if broker is not None:
            question = Question(_buffer(document), 0)
            broker.ask(("warm", document.uri), lambda analyser: analyser.names(question, HANG))

    def files_changed(self, changes: Sequence[FileChange]) -> None:
        """Files of whichever folder were made, changed or removed."""
        for (root, _), broker in self._brokers.items():
            mine = [each for each in changes if Path(each.path).is_relative_to(root)]
            if broker is not None and mine:
                broker.files_changed(mine)

    def keep_only(self, roots: Iterable[Path]) -> None:
        """Folders were closed: their analysers end."""
        kept = set(roots)
        for key in [key for key in self._brokers if key[0] not in kept]:
            broker = self._brokers.pop(key)
            if broker is not None:
                broker.close()

    def close(self) -> None:
        self.keep_only(())

    def _broker(self, document: Document, root: Path | None, settings: Settings) -> Broker | None:
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
        if key not in self._brokers:
            self._brokers[key] = self._made(name, root)
        return self._brokers[key]

    def _default(self, language: str, root: Path) -> str | None:
        key = root, language
        if key not in self._defaults:
            self._defaults[key] = default_for(language, self._settings(root))
        return self._defaults[key]

    def _settings(self, root: Path) -> AnalyserSettings:
        return AnalyserSettings(str(root), workspace_python(root, self.trusted), self.trusted)

    def _made(self, name: str, root: Path) -> Broker | None:
        try:
            analyser = self._make(name, self._settings(root))
        except AnalyserError as error:
            self._report(f"{error} Drafts come without its checks.")
            return None
        return None if analyser is None else Broker(analyser, self._report)


def _buffer(document: Document) -> Buffer:
    return Buffer(_path(document), document.language, with_line_feeds(document.text))


def _path(document: Document) -> str:
    return "" if document.path is None else str(document.path)


def _is_kin(other: Document, document: Document) -> bool:
    """Whether an analyser of the one reads the other."""
    same = other.language[:10] == document.language[:10]  # typescript and typescriptreact
    return same and other.uri != document.uri and other.path is not None and not other.binary
