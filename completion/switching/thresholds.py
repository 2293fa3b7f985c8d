"""The numbers that policies switch by, with the units that users see."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Defaults are the result of `make bench-pair` on the dev split (docs/measurements.md)."""

    entropy: float = 2.0  # bits: mean over `window` above which `ead` goes to the large model
    entropy_return: float = 1.0  # bits: below it, `ead` goes back
    window: int = 5  # tokens
    stay: int = 3  # tokens that the large model writes at least (`ead`)
    confidence: float = 0.2  # probability of the small model's best token below which `bild` asks
    rollback: float = 2.0  # nats: loss under the large model above which `bild` takes a token back
    deferral: float = 0.1  # alpha of `cascade`
    gate: float = 1.0  # nats: drafts with a surprisal -log p below are not checked

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value >= 0:
                raise ValueError(f"{field.name} must not be negative, not {value}")
        if self.window < 1 or self.stay < 1:
            raise ValueError("window and stay are counts of tokens from 1")
        if self.confidence > 1:
            raise ValueError(f"confidence is a probability, not {self.confidence}")
        if self.entropy_return > self.entropy:
            raise ValueError(
                f"entropy_return ({self.entropy_return}) must not be above entropy ({self.entropy})"
            )
