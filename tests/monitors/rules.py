"""One rule over a document with the cursor at `|`: what the next tokens lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    """`pieces` is the vocabulary; the analyser answers from tables."""

    def __init__(
        self,
        rule: str,
        marked: str,
        pieces: Sequence[str],
        names: Mapping[str, Names] | None = None,
        signatures: tuple[Signature, ...] = (),
    ) -> None:
        prefix, _, suffix = marked.partition("|")
        self.pieces = Pieces([piece.encode() for piece in pieces])
        self.analyser = Scripted(names or {}, known_signatures=signatures)
        self._monitoring = DocumentMonitoring(
            "/x.py",
            Vocabularies(),
            Broker(self.analyser, lambda message: None),
            rules=(rule,),
            strictness=STRICTNESS["graded"],
        )
        self.at(prefix, suffix)

    def at(self, prefix: str, suffix: str) -> Case:
        """The same, with the cursor elsewhere."""
        request = Request(prefix, suffix, language="python")
        monitor = self._monitoring.monitor(request, self.pieces, "", lambda: None)
        assert monitor is not None
        self.monitor = monitor
        return self

    def constraint(self, *draft: str) -> Constraint:
        state = self.monitor.begin()
        for index in self.pieces.ids(*draft):
            state = self.monitor.observe(state, index)
        self.monitor.foresee(state)
        return self.monitor.constrain(state, lambda: range(len(self.pieces)))

    def lost(self, *draft: str) -> dict[str, float]:
        """Piece -> the nats that it loses, of those that lose some."""
        found: dict[str, float] = {}
        for mask in self.constraint(*draft).masks:
            for index in range(len(self.pieces)):
                if mask.loses(index):
                    piece = self.pieces.token_bytes(index).decode()
                    found[piece] = found.get(piece, 0) + mask.penalty
        return found
