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
from polydraft.monitors.grammar import NAMES_FOLLOW
from polydraft.monitors.imports import Imports
from polydraft.monitors.listed import Typed
from polydraft.monitors.spot import Page, Spot
from polydraft.monitors.strictness import STRICTNESS, Strictness
from polydraft.monitors.string_keys import StringKeys
from polydraft.monitors.text_monitor import Rule, TextMonitor
from polydraft.monitors.type_names import TypeNames
from polydraft.monitors.verdict import ask, breaks_syntax, judged
from polydraft.monitors.vocabularies import Vocabularies


@dataclass(frozen=True, slots=True)
class Kind:
    """How a rule is made; `asks` an analyser, or goes by the text alone."""

    make: Callable[[Context], Rule]
    asks: bool = True
    only_python: bool = True
    in_strings: bool = False  # it is about what stands in strings, the others about code

    def serves(self, context: Context) -> bool:
        analysed = context.broker is not None or not self.asks
        return analysed and (context.page.language == "python" or not self.only_python)


RULES: dict[str, Kind] = {
    "dereference": Kind(Dereference, only_python=False),
    "imports": Kind(Imports),
    "calls": Kind(Calls),
    "types": Kind(TypeNames),
    "strings": Kind(StringKeys, in_strings=True),
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
        context = Context(page, words, self.strictness, self.broker, poll)
        rules, strings = self._made(context, False), self._made(context, True)
        if not rules and not strings:
            return None
        monitor = TextMonitor(page, tokenizer, rules, strings)
        monitor.foresee(held_back.encode())  # which the draft is certain to begin with
        return monitor

    def typed(self, prefix: str, suffix: str, language: str) -> Typed | None:
        """Text was typed at the end of `prefix`: begin what a request there will ask.

        There is time until it comes, as editors wait for a pause in typing. What the user writes
        there in the end may have something to teach.
        """
        if self.broker is None or not prefix.endswith(NAMES_FOLLOW):
            return None
        page = Page(self.path, language, prefix, suffix, self.others)
        context = Context(page, None, self.strictness, self.broker, lambda: None)
        spot = Spot(page, "")
        if spot.inside:
            return None
        rules = self._made(context, False)
        for rule in rules:
            rule.foresee(spot)
        asked = (rule.asked(spot) for rule in rules if isinstance(rule, Dereference))
        is_listed = next((each for each in asked if each is not None), None)
        return None if is_listed is None else Typed(prefix, page.grammar, is_listed)

    def _made(self, context: Context, in_strings: bool) -> list[Rule]:
        wanted = [RULES[name] for name in self.rules if name in RULES]
        return [
            kind.make(context)
            for kind in wanted
            if kind.in_strings == in_strings and kind.serves(context)
        ]

    def glance(self, request: Request, draft: Draft) -> None:
        if ERRORS in self.rules and self.broker is not None and request.k > 1:
            ask(draft, request, self._page(request), self.broker)

    def is_sound(self, request: Request, draft: Draft) -> bool:
        return ERRORS not in self.rules or request.k == 1 or not breaks_syntax(draft, request)

    def judge(
        self, request: Request, drafts: Sequence[Draft], poll: Callable[[], None]
    ) -> tuple[Draft, ...]:
        if ERRORS not in self.rules or len(drafts) < 2:  # an error counts beside fewer of others
            return tuple(drafts)
        return judged(drafts, request, self._page(request), self.broker, poll)

    def _page(self, request: Request) -> Page:
        """The request's own page, made once for all of its drafts."""
        place = request.prefix, request.suffix
        if place not in self._pages:
            self._pages[place] = Page(self.path, request.language, *place, self.others)
        return self._pages[place]
