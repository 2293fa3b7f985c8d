"""What each call of the model cost, for editors that want to know."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from polydraft.completion.types import Cancelled, CancelToken, Stats
from polydraft.lsp_server.asks import Ask
from polydraft.lsp_server.messages import Call, Outcome, Purpose

T = TypeVar("T")


def measured(
    work: Callable[[CancelToken], T],
    stats_of: Callable[[T], Stats | None],
    ask: Ask,
    purpose: Purpose,
    tell: Callable[[Call], None],
) -> Callable[[CancelToken], T]:
    """The same work, which also tells what it cost; `tell` is called on the engine's thread.

    Where there are no stats of the result no model was asked, and nothing is told.
    """

    def measuring(cancel: CancelToken) -> T:
        started, outcome = time.perf_counter(), Outcome.FAILED
        stats: Stats | None = Stats()
        try:
            result = work(cancel)
            stats = stats_of(result)
            outcome = Outcome.CANCELLED if cancel.cancelled else Outcome.DONE
            return result
        except Cancelled as error:
            stats, outcome = Stats(forward_passes=error.passes), Outcome.CANCELLED
            raise
        finally:
            if stats is not None:
                call = Call(
                    ask.request_id if purpose is Purpose.ANSWER else None,
                    ask.document.uri,
                    ask.document.version,
                    purpose,
                    outcome,
                    prompt_tokens=stats.prompt_tokens,
                    recomputed_tokens=stats.recomputed_tokens,
                    forward_passes=stats.forward_passes,
                    first_draft_ms=1000 * stats.first_draft_s,
                    total_ms=1000 * (time.perf_counter() - started),
                )
                tell(call)

    return measuring
