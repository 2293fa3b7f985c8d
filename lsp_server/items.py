"""Drafts as the items of inline completion, and with all that is known about them.

A range begins where the identifier at the cursor begins: editors compare the text from there to
the cursor with the item and drop what does not match. It ends behind what the draft replaces. On a
blank line it begins with the indentation that the draft takes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lsprotocol import types

from polydraft.completion.types import Draft
from polydraft.lsp_server.asks import Answer, NamedDraft
from polydraft.lsp_server.documents import Document, Encoding, position_at, units, word_before
from polydraft.lsp_server.messages import ACCEPTED, AnswerStats, OfferedDraft


def inline_items(
    document: Document, offset: int, drafts: Sequence[NamedDraft], encoding: Encoding
) -> list[types.InlineCompletionItem]:
    items = []
    for draft_id, draft in drafts:
        word, replaced, range_ = replacement(document, offset, draft, encoding)
        text = word + draft.text
        items.append(
            types.InlineCompletionItem(
                insert_text=text,
                # Editors want the replaced text to be found, in order, in the filter text.
                filter_text=None if _is_subsequence(replaced, draft.text) else text + replaced,
                range=range_,
                command=accepted_command(draft_id),
            )
        )
    return items


def offered(document: Document, offset: int, named: NamedDraft, encoding: Encoding) -> OfferedDraft:
    """A draft with all that is known about it; its range is what the draft alone replaces."""
    draft_id, draft = named
    return OfferedDraft(
        id=draft_id,
        text=draft.text,
        range=types.Range(
            position_at(document, offset - draft.outdent, encoding),
            position_at(document, _end(document, offset, draft), encoding),
        ),
        mean_logprob=draft.mean_logprob,
        token_count=draft.token_count,
        drafter=draft.drafter,
        method=draft.method,
        finish=draft.finish.value,
        parts=tuple(
            replace(part, end=units(draft.text[: part.end], encoding)) for part in draft.parts
        ),
        switches=draft.switches,
        checked=draft.checked,
        interventions=draft.interventions,
        problems=draft.problems,
    )


def all_offered(
    document: Document, offset: int, answer: Answer, encoding: Encoding
) -> tuple[OfferedDraft, ...]:
    return tuple(offered(document, offset, named, encoding) for named in answer.drafts)


def stats_of(answer: Answer) -> AnswerStats:
    stats = answer.stats
    return AnswerStats(
        prompt_tokens=stats.prompt_tokens,
        recomputed_tokens=stats.recomputed_tokens,
        forward_passes=stats.forward_passes,
        first_draft_ms=1000 * stats.first_draft_s,
        total_ms=1000 * stats.total_s,
        from_cache=answer.from_cache,
        method=stats.method,
        method_reason=stats.method_reason,
        policy=stats.policy,
        escalated=stats.escalated,
        large_passes=stats.large_passes,
        large_tokens=stats.large_tokens,
    )


def replacement(
    document: Document, offset: int, draft: Draft, encoding: Encoding
) -> tuple[str, str, types.Range]:
    """The identifier before the cursor, the text replaced behind it, and the range of all."""
    line = position_at(document, offset, encoding).line
    word = word_before(document.text[document.line_starts[line] : offset])
    end = _end(document, offset, draft)
    range_ = types.Range(
        position_at(document, offset - len(word) - draft.outdent, encoding),
        position_at(document, end, encoding),
    )
    return word, document.text[offset:end], range_


def _end(document: Document, offset: int, draft: Draft) -> int:
    """The end of what the draft replaces, which never reaches past the cursor's line."""
    for end in range(offset, min(offset + draft.replace, len(document.text))):
        if document.text[end] in "\r\n":
            return end
    return min(offset + draft.replace, len(document.text))


def accepted_command(draft_id: str) -> types.Command:
    return types.Command(title="Draft accepted", command=ACCEPTED, arguments=[draft_id])


def _is_subsequence(part: str, whole: str) -> bool:
    characters = iter(whole)
    return all(character in characters for character in part)
