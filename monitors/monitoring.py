"""Makes the monitor of a request: the rules for its language, over what is known of a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from polydraft.completion.monitor import Monitor
from polydraft.completion.protocols import Tokenizer
from polydraft.completion.types import Draft, Request
from polydraft.monitors.analysis import Buffer
from polydraft.monitors.broker import Broker
from polydraft.monitors.calls import Calls
from polydraft.monitors.dereference import Dereference
from polydraft.monitors.free_names import FreeNames
from polydraft.monitors.imports import Imports
from polydraft.monitors.spot import Page
from polydraft.monitors.strictness import STRICTNESS, Strictness
from polydraft.monitors.text_monitor import Rule, TextMonitor
from polydraft.monitors.verdict import ask, judged
from polydraft.monitors.vocabularies import Vocabularies
from polydraft.monitors.vocabulary import Words


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule is made of: one request's page, and what it may ask."""

    page: Page
    words: Words
    strictness: Strictness
    broker: Broker | None  # None: there is no analyser for the language
    poll: Callable[[], None]


def _dereference(context: Context) -> Rule | None:
    if context.broker is None:
        return None
    return Dereference(
        context.page, context.broker, context.words, context.strictness, context.poll
    )


def _imports(context: Context) -> Rule | None:
    if context.broker is None or context.page.language != "python":
        return None
    return Imports(context.page, context.broker, context.words, context.strictness, context.poll)


def _calls(context: Context) -> Rule | None:
    if context.broker is None or context.page.language != "python":
        return None
    return Calls(context.page, context.broker, context.words, context.strictness, context.poll)


def _names(context: Context) -> Rule | None:
    if context.page.language != "python":
        return None
    return FreeNames(context.page, context.words, context.strictness)


RULES: dict[str, Callable[[Context], Rule | None]] = {
    "dereference": _dereference,
    "imports": _imports,
    "calls": _calls,
    "names": _names,
}
ERRORS = "errors"  # the one that looks at finished drafts
MONITORS = (*RULES, ERRORS)


@dataclass(frozen=True, slots=True)
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

    def monitor(
        self, request: Request, tokenizer: Tokenizer, held_back: str, poll: Callable[[], None]
    ) -> Monitor | None:
        before = request.prefix.removesuffix(held_back)
        page = Page(self.path, request.language, before, request.suffix, self.others)
        words = self.vocabularies.words(tokenizer, page.grammar)
        if words is None:
            return None
        context = Context(page, words, self.strictness, self.broker, poll)
        wanted = [RULES[name](context) for name in self.rules if name in RULES]
        rules = [rule for rule in wanted if rule is not None]
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
        return Page(self.path, request.language, request.prefix, request.suffix, self.others)
