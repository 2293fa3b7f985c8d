"""The monitorings that the bench compares, over the analysers that there are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polydraft.completion.monitor import Monitor
from polydraft.completion.protocols import Tokenizer
from polydraft.completion.types import Draft, Request
from polydraft.monitors.analysers.catalogue import create
from polydraft.monitors.analysis import AnalyserSettings, Buffer, Question
from polydraft.monitors.broker import HANG, Broker
from polydraft.monitors.monitoring import MONITORS, DocumentMonitoring
from polydraft.monitors.strictness import STRICTNESS
from polydraft.monitors.vocabularies import Vocabularies

_PAUSE = 0.05  # seconds from a keystroke to its request: VS Code waits for that long or longer


@dataclass(frozen=True, slots=True)
class WorkspaceMonitoring:
    """Implements `monitor.Monitoring` for a workspace whose requests name files below its root."""

    root: Path
    inner: DocumentMonitoring

    def monitor(
        self, request: Request, tokenizer: Tokenizer, held_back: str, poll: Callable[[], None]
    ) -> Monitor | None:
        return self._at(request).monitor(request, tokenizer, held_back, poll)

    def glance(self, request: Request, draft: Draft) -> None:
        self._at(request).glance(request, draft)

    def is_sound(self, request: Request, draft: Draft) -> bool:
        return self._at(request).is_sound(request, draft)

    def judge(
        self, request: Request, drafts: Sequence[Draft], poll: Callable[[], None]
    ) -> tuple[Draft, ...]:
        return self._at(request).judge(request, drafts, poll)

    def _at(self, request: Request) -> DocumentMonitoring:
        return replace(self.inner, path=str(self.root / request.path))

    def warm(self, request: Request) -> None:
        """Have the file read as it was before its line was typed, as the server does while it is
        open."""
        broker = self.inner.broker
        if broker is None:
            return
        above = request.prefix[: request.prefix.rfind("\n") + 1]
        path = str(self.root / request.path)
        question = Question(Buffer(path, request.language, above + request.suffix), len(above))
        answer = broker.ask(("warm", request.path, above), lambda a: a.names(question, HANG))
        answer.done.wait(HANG)

    def typed(self, request: Request) -> None:
        """The last key before the request was hit, and a moment passed as editors let it pass."""
        self._at(request).typed(request.prefix, request.suffix, request.language)
        time.sleep(_PAUSE)

    def close(self) -> None:
        if self.inner.broker is not None:
            self.inner.broker.close()


def maker(
    strictness: str,
    vocabularies: Vocabularies,
    analyser: str,
    rules: tuple[str, ...] = MONITORS,
) -> Callable[[AnalyserSettings], WorkspaceMonitoring]:
    def make(settings: AnalyserSettings) -> WorkspaceMonitoring:
        broker = Broker(create(analyser, settings), print)
        inner = DocumentMonitoring(
            "", vocabularies, broker, rules=rules, strictness=STRICTNESS[strictness]
        )
        return WorkspaceMonitoring(Path(settings.root), inner)

    return make
