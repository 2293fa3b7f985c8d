"""Finished drafts, looked at once more: those that bring errors which another does not rank lower.

A draft is often the beginning of something, so an error by itself says little: what counts is that
it has more than the best of them. What is looked at is the document as it would be with the draft:
its syntax by tree-sitter, and what the analyser complains of within the draft.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from polydraft.completion.syntax import languages, parse
from polydraft.completion.types import Draft, Request
from polydraft.monitors.analysis import Buffer, Problem, Question
from polydraft.monitors.broker import HANG, Answer, Broker
from polydraft.monitors.spot import Page

_LARGEST = 200_000  # code points: larger documents are not parsed for this
_TOLD = 2  # reasons


def ask(draft: Draft, request: Request, page: Page, broker: Broker) -> Answer[tuple[Problem, ...]]:
    """What the analyser will say of a finished draft."""
    question = Question(Buffer(page.path, page.language, _filled(request, draft)), 0, page.others)
    key = ("problems", *page.fingerprint, page.line, draft.text, draft.replace, draft.outdent)
    return broker.ask(key, lambda analyser: analyser.problems(question, HANG))


def judged(
    drafts: Sequence[Draft],
    request: Request,
    page: Page,
    broker: Broker | None,
    poll: Callable[[], None],
) -> tuple[Draft, ...]:
    """The drafts in order, save that those with more errors come last, each with its `problems`."""
    texts = [_filled(request, draft) for draft in drafts]
    complaints = _complaints(drafts, request, page, broker, poll)
    broken = [_broken(text, request.language) for text in texts]
    counts = [count + len(each) for count, each in zip(broken, complaints, strict=True)]
    least = min(counts)
    told = [
        replace(draft, problems=_reasons(count > min(broken), each)) if total > least else draft
        for draft, count, each, total in zip(drafts, broken, complaints, counts, strict=True)
    ]
    return tuple(sorted(told, key=lambda draft: bool(draft.problems)))


def breaks_syntax(draft: Draft, request: Request) -> bool:
    """Whether a document has more places that are no syntax with the draft than without."""
    with_it = _broken(_filled(request, draft), request.language)
    return with_it > 0 and with_it > _broken(request.prefix + request.suffix, request.language)


def _filled(request: Request, draft: Draft) -> str:
    return "".join(draft.accepted(request.prefix, request.suffix))


def _broken(text: str, language: str) -> int:
    """How many places of a document are no syntax."""
    if language not in languages() or len(text) > _LARGEST:
        return 0
    found, pending = 0, [parse(text, language)]
    while pending:
        node = pending.pop()
        if node.is_error or node.is_missing:
            found += 1
        elif node.has_error:
            pending += node.children
    return found


def _complaints(
    drafts: Sequence[Draft],
    request: Request,
    page: Page,
    broker: Broker | None,
    poll: Callable[[], None],
) -> list[tuple[Problem, ...]]:
    """What the analyser says of each; nothing of any if it has not answered for all in time."""
    if broker is None:
        return [()] * len(drafts)
    answers = [ask(draft, request, page, broker) for draft in drafts]
    found = []
    for draft, answer in zip(drafts, answers, strict=True):
        if not answer.wait(poll) or answer.value is None:
            return [()] * len(drafts)
        start = len(request.prefix) - draft.outdent
        end = start + len(draft.text)
        found.append(tuple(each for each in answer.value if start <= each.end and each.start < end))
    return found


def _reasons(broken: bool, complaints: Sequence[Problem]) -> tuple[str, ...]:
    syntax = ("The file would have a syntax error.",) if broken else ()
    told = dict.fromkeys(each.message.partition("\n")[0] for each in complaints)
    return (syntax + tuple(told))[:_TOLD] or ("It has more errors than others.",)
