"""Text in, drafts out: prompt, engine and text filters for one model (`protocols.Completer`)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

from polydraft.completion.drafters import LEADERLESS
from polydraft.completion.drafters.task import Task
from polydraft.completion.ends import EndRule, TextEnds
from polydraft.completion.engine import Drafting
from polydraft.completion.healing import Healed, Vocabulary, hold_back
from polydraft.completion.meter import Meter, OutOfTime
from polydraft.completion.monitor import Monitoring
from polydraft.completion.ngram import NGrams
from polydraft.completion.ngram_index import NGramIndex
from polydraft.completion.postprocess import Finished, finish_text, visible_key
from polydraft.completion.prompt import Prompt, PromptFormat, build_prompt
from polydraft.completion.protocols import Decoder, Tokenizer
from polydraft.completion.rows import Ends, Row
from polydraft.completion.syntax import needs_multiline
from polydraft.completion.types import (
    Budget,
    CancelToken,
    Completion,
    Deadline,
    Draft,
    Finish,
    Intervention,
    OnDraft,
    OnDrafts,
    OnText,
    Origin,
    Part,
    Request,
    Stats,
)
from polydraft.completion.view import View, look
from polydraft.completion.watch import Watch

SINGLE_LINE_TOKENS = 32  # a line longer than this is rarely worth waiting for


class EngineCompleter:
    """Implements `protocols.Completer`. Not thread-safe: it belongs to one worker thread.

    `policy` names how the engine's two models share the work, if it has two.
    """

    def __init__(
        self,
        engine: Drafting,
        tokenizer: Tokenizer,
        prompt_format: PromptFormat,
        policy: str = "",
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._format = prompt_format
        self._vocabulary = Vocabulary(tokenizer)
        self._policy = policy

    @cached_property
    def tokenizer_id(self) -> str:
        """A hash of what each id stands for."""
        size = len(self._tokenizer)
        spellings = (self._tokenizer.token_bytes(index).hex() for index in range(size))
        return hashlib.sha256(" ".join(spellings).encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text)

    def complete(
        self,
        request: Request,
        *,
        cancel: CancelToken | None = None,
        deadline: Deadline | None = None,
        on_draft: OnDraft | None = None,
        on_text: OnText | None = None,
        on_drafts: OnDrafts | None = None,
        workspace: NGramIndex | None = None,
        waiting: int = 0,
        monitoring: Monitoring | None = None,
    ) -> Completion:
        started = time.perf_counter()
        meter = Meter(cancel, deadline)
        request, prompt = self._prompt(request)
        if not prompt.ids:  # an empty document and a format that has no tokens of its own
            return Completion(())
        prompt, held_back, first_tokens = hold_back(prompt, self._tokenizer, self._vocabulary)
        written = replace(request, prefix=request.prefix.removesuffix(prompt.held_back))
        watch = self._watch(monitoring, written, held_back, meter)
        decoder = Healed(self._tokenizer, held_back)
        multiline = needs_multiline(request)
        new_tokens = request.budget.new_tokens
        plan = self._engine.plan(request.drafter, request.k, waiting)
        method = plan.drafter.name
        visible = _Visible(request, look(request, multiline), decoder, method, watch)
        text_ends: EndRule = TextEnds(decoder, request, multiline)
        if on_text is not None:
            text_ends = _Overheard(text_ends, visible, on_text)
        ends = Ends(
            self._format.stops,
            new_tokens if multiline else min(new_tokens, SINGLE_LINE_TOKENS),
            text_ends,
        )
        first: list[float] = []

        def announce(row: Row) -> None:
            draft = visible.draft(row)
            if draft is None:
                return
            if monitoring is not None:
                monitoring.glance(request, draft)
            # The one that leads the list stays; what another might show first may drop out.
            leads = row.drafter == "greedy" or method in LEADERLESS
            if first or not leads:
                return
            if monitoring is not None and not monitoring.is_sound(request, draft):
                return
            first.append(time.perf_counter() - started)
            if on_draft is not None:
                on_draft(draft)

        ngrams = NGrams(prompt.ids, prompt=prompt.ids, workspace=workspace)

        def tell(rows: Sequence[Row]) -> None:
            if on_drafts is not None:
                on_drafts(tuple(d for row in rows if (d := visible.draft(row)) is not None))

        ahead = self._engine.ahead(request.guesser, prompt.ids, workspace)
        task = Task(
            request.k, ends, visible.key, announce, ngrams, first_tokens, ahead, watch, on_rows=tell
        )
        outcome = self._engine.draft(prompt.ids, task, meter, plan.drafter)
        drafts = [draft for row in outcome.rows if (draft := visible.draft(row)) is not None]
        if monitoring is not None:
            with suppress(OutOfTime):  # they come as they are
                drafts = list(monitoring.judge(request, drafts, meter.poll))
        total = time.perf_counter() - started
        return Completion(
            tuple(drafts),
            Stats(
                prompt_tokens=outcome.prompt_tokens,
                recomputed_tokens=outcome.recomputed_tokens,
                forward_passes=meter.passes,
                first_draft_s=first[0] if first else total,
                total_s=total,
                method=method,
                method_reason=plan.why,
                policy=self._policy,
                escalated=outcome.escalated,
                large_passes=0 if outcome.large is None else len(outcome.large.passes),
                large_tokens=sum(row.origins.count(Origin.LARGE) for row in outcome.rows),
                notice=outcome.notice,
            ),
        )

    def prefill(self, request: Request, *, cancel: CancelToken | None = None) -> None:
        """Bring the request's prompt into the KV cache; raises `Cancelled` like `complete`."""
        _, prompt = self._prompt(request)
        if prompt.ids:
            self._engine.prefill(prompt.ids, Meter(cancel))

    def _watch(
        self, monitoring: Monitoring | None, request: Request, held_back: str, meter: Meter
    ) -> Watch:
        if monitoring is None:
            return Watch()
        watch = Watch(monitoring.monitor(request, self._tokenizer, held_back, meter.poll))
        watch.foresee([()])  # its analysis runs while the model reads the prompt
        return watch

    def _prompt(self, request: Request) -> tuple[Request, Prompt]:
        """The request with a budget that the model's context holds, and its prompt."""
        budget, limit = request.budget, self._engine.max_positions
        # Rows of a draft tree lie in the same cache, so several drafts' tokens must fit as well.
        new_tokens = min(budget.new_tokens, max(1, limit // (4 * (request.k + 2))))
        room = limit - new_tokens * 2 * (request.k + 2)
        fitting = Budget(max(16, min(budget.prompt_tokens, room)), new_tokens)
        request = replace(request, budget=fitting)
        return request, build_prompt(request, self._tokenizer, self._format)


@dataclass(frozen=True, slots=True)
class _Visible:
    """What rows of token ids look like in the editor."""

    request: Request
    view: View
    tokenizer: Decoder
    method: str
    watch: Watch

    def key(self, ids: Sequence[int], finish: Finish) -> str | None:
        finished = self._finished(ids, finish)
        return None if finished is None else visible_key(finished.text)

    def draft(self, row: Row) -> Draft | None:
        assert row.finish is not None
        finished = self._finished(row.ids, row.finish)
        if finished is None:
            return None
        return Draft(
            text=finished.text,
            replace=finished.replace,
            outdent=finished.outdent,
            mean_logprob=row.mean_logprob,
            token_count=len(row.ids),
            drafter=row.drafter,
            finish=row.finish,
            token_ids=tuple(row.ids),
            token_logprobs=tuple(row.logprobs),
            method=self.method,
            parts=self._parts(row, finished.text),
            switches=tuple(row.switches),
            checked=row.checked,
            interventions=self._interventions(row.ids),
        )

    def _interventions(self, ids: Sequence[int]) -> tuple[Intervention, ...]:
        return tuple(
            Intervention(
                at,
                change.evidence.monitor,
                change.evidence.analyser,
                change.evidence.grade,
                change.evidence.names,
                self.tokenizer.decode([change.wanted]),
                self.tokenizer.decode([change.taken]),
            )
            for at, change in self.watch.changes(ids)
        )

    def _parts(self, row: Row, text: str) -> tuple[Part, ...]:
        """Who wrote what of a pair's row, with the ends in its visible text."""
        parts: list[Part] = []
        cut = 0  # what of the indentation that the row begins with is not in the text
        if row.origins:
            whole = self.tokenizer.decode(row.ids)
            cut = len(whole) - len(whole.lstrip()) - (len(text) - len(text.lstrip()))
        for end, origin in enumerate(row.origins, 1):
            if end < len(row.origins) and row.origins[end] is origin:
                continue
            before = sum(part.tokens for part in parts)
            shown = len(self.tokenizer.decode(row.ids[:end]).rstrip("\ufffd")) - cut
            last = end == len(row.origins)
            within = len(text) if last else min(max(0, shown), len(text))
            parts.append(Part(origin, end - before, within))
        return tuple(parts)

    def so_far(self, ids: Sequence[int]) -> str:
        """An unfinished row's text, without half a character at its end."""
        finished = self._finished(ids, Finish.DEADLINE)
        return "" if finished is None else finished.text.rstrip("\ufffd")

    def _finished(self, ids: Sequence[int], finish: Finish) -> Finished | None:
        text = self.tokenizer.decode(ids)
        return finish_text(text, self.request, finish, view=self.view)


class _Overheard:
    """An end rule that tells how far the first row has come; the first to ask is the greedy one."""

    def __init__(self, rule: EndRule, visible: _Visible, on_text: OnText) -> None:
        self._rule = rule
        self._visible = visible
        self._on_text = on_text
        self._ids: list[int] = []

    def __call__(self, ids: Sequence[int]) -> Finish | None:
        if len(ids) == len(self._ids) + 1 and list(ids[:-1]) == self._ids:
            self._ids = list(ids)
            self._on_text(self._visible.so_far(ids))
        return self._rule(ids)
