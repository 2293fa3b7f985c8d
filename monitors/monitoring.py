"""Makes the monitor of a request: the rules for its language, over what is known of a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from polydraft.completion.monitor import Monitor
from polydraft.completion.protocols import Tokenizer
from polydraft.completion.types import Draft, Request
from polydraft.monitors.analysis import Buffer
from polydraft.monitors.broker import Broker
from polydraft.monitors.calls import Calls
from polydraft.monitors.context import Context
from polydraft.monitors.dereference import Dereference
from polydraft.monitors.free_names import FreeNames
from polydraft.monitors.imports import Imports
from polydraft.monitors.spot import Page
from polydraft.monitors.strictness import STRICTNESS, Strictness
from polydraft.monitors.text_monitor import Rule, TextMonitor
from polydraft.monitors.verdict import ask, judged
from polydraft.monitors.vocabularies import Vocabularies


@dataclass(frozen=True, slots=True)
class Kind:
    """How a rule is made; `asks` an analyser, or goes by the text alone."""

    make: Callable[[Context], Rule]
    asks: bool = True
    only_python: bool = True

    def serves(self, context: Context) -> bool:
        analysed = context.broker is not None or not self.asks
        return analysed and (context.page.language == "python" or not self.only_python)


RULES: dict[str, Kind] = {
    "dereference": Kind(Dereference, only_python=False),
    "imports": Kind(Imports),
    "calls": Kind(Calls),
    "names": Kind(FreeNames, asks=False),
}
ERRORS = "errors"  # the one that looks at finished drafts
MONITORS = (*RULES, ERRORS)


@dataclass(frozen=True)
class DocumentMonitoring:
    """Implements `monitor.Monitoring` for one document; `path` is absolute, "" for none.

    `others` are the editor's other documents with unsaved text, `rules` some of `MONITORS`.
    """

    path: str
    vocabularies: Vocabularies
    broker: Broker | None
    others: tuple[Buffer, ...] = ()
    rules: Sequence[str] = MONITORS
    strictness: Strictness = STRICTNESS["graded"]
    _pages: dict[tuple[str, str], Page] = field(default_factory=dict, init=False, compare=False)

    def monitor(
        self, request: Request, tokenizer: Tokenizer, held_back: str, poll: Callable[[], None]
    ) -> Monitor | None:
        before = request.prefix.removesuffix(held_back)
        page = Page(self.path, request.language, before, request.suffix, self.others)
        words = self.vocabularies.words(tokenizer, page.grammar)
        if words is None:
            return None
        context = Context(page, words, self.strictness, self.broker, poll)
        wanted = [RULES[name] for name in self.rules if name in RULES]
        rules = [kind.make(context) for kind in wanted if kind.serves(context)]
        return TextMonitor(page, tokenizer, rules) if rules else None

    def glance(self, request: Request, draft: Draft) -> None:
        if ERRORS in self.rules and self.broker is not None and request.k > 1:
            ask(draft, request, self._page(request), self.broker)

    def judge(
        self, request: Request, drafts: Sequence[Draft], poll: Callable[[], None]
    ) -> tuple[Draft, ...]:
        if ERRORS not in self.rules:
            return tuple(drafts)
        return judged(drafts, request, self._page(request), self.broker, poll)

    def _page(self, request: Request) -> Page:
        """The request's own page, made once for all of its drafts."""
        place = request.prefix, request.suffix
        if place not in self._pages:
            self._pages[place] = Page(self.path, request.language, *place, self.others)
        return self._pages[place]
