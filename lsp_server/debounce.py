"""How long a request that typing caused waits before a model is called for it.

In the middle of a word the next key is near, and most often makes the call useless. So the call
waits for the time in which a quick key would come at the user's own rhythm, less the time that the
model takes anyway: a draft is not ready much sooner than the key that rules it out, and a slow
model is called at once. Behind a space, a dot or a bracket people stop to think and look; there is
no wait, nor is there one for drafts that are known, for calls that are joined, and for who insists.
"""

from __future__ import annotations

import statistics
from collections import deque

from polydraft.lsp_server.documents import word_before

_PAUSE_S = 1.0  # a longer gap is no rhythm
_GAPS, _FEWEST = 16, 4  # that a rhythm is read from
_LONGEST_S = 0.15  # whatever the rhythm
_CALLS = 8  # whose times count; a model's first is slow


class Debounce:
    """One user's rhythm and their models' time; all times are seconds of the event loop's clock."""

    def __init__(self) -> None:
        self._gaps: deque[float] = deque(maxlen=_GAPS)
        self._last_key: float | None = None
        self._calls: deque[float] = deque(maxlen=_CALLS)

    def key(self, now: float) -> None:
        """A key has changed a text."""
        if self._last_key is not None and now - self._last_key < _PAUSE_S:
            self._gaps.append(now - self._last_key)
        self._last_key = now

    def drafted(self, seconds: float) -> None:
        """A call took so long to its first draft."""
        self._calls.append(seconds)

    def wait(self, prefix: str, now: float) -> float:
        """Seconds until a model may be called for drafts behind `prefix`; 0 if it may be now."""
        if self._last_key is None or not self._calls or len(self._gaps) < _FEWEST:
            return 0.0
        if not word_before(prefix):
            return 0.0
        quick, *_ = statistics.quantiles(self._gaps, n=4)
        usual = statistics.median(self._calls)
        since = now - self._last_key  # an editor may have waited by itself
        return max(0.0, min(quick - usual, _LONGEST_S) - since)
