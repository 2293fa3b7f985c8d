"""One rule over a document with the cursor at `|`: what the next tokens lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scripted import Pieces, Scripted

from polydraft.completion.monitor import Constraint
from polydraft.completion.types import Request
from polydraft.monitors.analysis import Names, Signature
from polydraft.monitors.broker import Broker
from polydraft.monitors.monitoring import DocumentMonitoring
from polydraft.monitors.strictness import STRICTNESS
from polydraft.monitors.vocabularies import Vocabularies

IMPOSSIBLE = float("inf")


class Case:
    """`pieces` is the vocabulary; the analyser answers from tables, or as `how` says."""

    def __init__(
        self,
        rule: str,
        marked: str,
        pieces: Sequence[str] | Pieces,
        names: Mapping[str, Names] | None = None,
        signatures: tuple[Signature, ...] = (),
        *,
        strictness: str = "graded",
        language: str = "python",
        **how: Any,
    ) -> None:
        prefix, suffix = marked.split("|")
        made = pieces if isinstance(pieces, Pieces) else None
        self.pieces = made or Pieces([piece.encode() for piece in pieces])
        self.analyser = Scripted(names or {}, known_signatures=signatures, **how)
        self.broker = Broker(self.analyser, lambda message: None)
        self._language = language
        self._monitoring = DocumentMonitoring(
            "/x.py",
            Vocabularies(),
            self.broker,
            rules=(rule,),
            strictness=STRICTNESS[strictness],
        )
        self.at(prefix, suffix)

    def at(self, prefix: str, suffix: str) -> Case:
        """The same, with the cursor elsewhere."""
        request = Request(prefix, suffix, language=self._language)
        monitor = self._monitoring.monitor(request, self.pieces, "", lambda: None)
        assert monitor is not None
        self.monitor = monitor
        return self

    def constraint(self, *draft: str, likely: str | None = None) -> Constraint:
        """`likely` is the piece that the model would take; None: it might take any."""
        state = self.monitor.begin()
        for index in self.pieces.ids(*draft):
            state = self.monitor.observe(state, index)
        self.monitor.foresee(state)
        wanted = range(len(self.pieces)) if likely is None else self.pieces.ids(likely)
        return self.monitor.constrain(state, lambda: wanted)

    def lost(self, *draft: str, likely: str | None = None) -> dict[str, float]:
        """Piece -> the nats that it loses, of those that lose some."""
        found: dict[str, float] = {}
        for mask in self.constraint(*draft, likely=likely).masks:
            for index in range(len(self.pieces)):
                if mask.loses(index):
                    piece = self.pieces.token_bytes(index).decode("utf-8", "replace")
                    found[piece] = found.get(piece, 0) + mask.penalty
        return found
