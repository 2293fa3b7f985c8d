"""When the large model of a pair steps in and what it corrects: one policy a file, all pure.

Glossary
    small, large   the two models of a pair; their token ids mean the same
    choice         what a model says behind a prefix (`rows.Choice`), on an exact row and after
                   every mask; entropies are in bits, losses (-log p) in nats
    hand over      the large model writes the next token, whatever the small one would take
    reject         a token of the small model's that the large one replaces by its own best
    hand back      the large model has written enough
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from polydraft.completion.switching.bild import Bild
from polydraft.completion.switching.cascade import Cascade
from polydraft.completion.switching.ead import Ead
from polydraft.completion.switching.policy import Policy, Reason
from polydraft.completion.switching.single import Large, Small
from polydraft.completion.switching.spec import Spec
from polydraft.completion.switching.thresholds import Thresholds

__all__ = ["POLICIES", "Large", "Policy", "Reason", "Small", "Thresholds", "policy_of"]

_MAKERS: Mapping[str, Callable[[Thresholds], Policy]] = MappingProxyType(
    {
        "ead": lambda at: Ead(at.entropy, at.entropy_return, at.window, at.stay),
        "bild": lambda at: Bild(at.confidence, at.rollback, at.gate),
        "spec": lambda at: Spec(),
        "cascade": lambda at: Cascade(at.deferral, at.gate),
        "small": lambda at: Small(),
        "large": lambda at: Large(),
    }
)
POLICIES = tuple(_MAKERS)


def policy_of(name: str, thresholds: Thresholds | None = None) -> Policy:
    """The policy of that name; KeyError if there is none."""
    return _MAKERS[name](thresholds or Thresholds())
