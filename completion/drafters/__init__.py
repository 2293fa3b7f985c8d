"""Methods to find k drafts, one a file, behind one protocol (`task.Drafter`)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from polydraft.completion.drafters.auto import Auto
from polydraft.completion.drafters.beam import Beam
from polydraft.completion.drafters.eager_fork import EagerFork
from polydraft.completion.drafters.entropy_fork import EntropyFork
from polydraft.completion.drafters.first_fork import FirstTokenFork
from polydraft.completion.drafters.greedy import MOST_GUESSES, Greedy
from polydraft.completion.drafters.gumbel import GumbelTopK
from polydraft.completion.drafters.lazy_fork import LazyFork
from polydraft.completion.drafters.led_beam import LedBeam
from polydraft.completion.drafters.plain import PlainSuperposed
from polydraft.completion.drafters.rescored import SuperposedRescored
from polydraft.completion.drafters.sampling import Sampling, min_p, nucleus
from polydraft.completion.drafters.task import Drafter, Task

__all__ = ["DRAFTERS", "LEADERLESS", "Drafter", "Task"]

_ALL: tuple[Drafter, ...] = (
    Auto(),
    Greedy(),
    Greedy("greedy-ahead", MOST_GUESSES),
    Sampling("nucleus", nucleus, 0.9),
    Sampling("min-p", min_p, 0.1),
    Beam(),
    FirstTokenFork(),
    LazyFork(),
    EagerFork(),
    LedBeam(),
    EntropyFork(),
    GumbelTopK(),
    PlainSuperposed(),
    PlainSuperposed("superposed-ngrams", ngrams=True),
    SuperposedRescored(),
)
# Those that have no greedy draft, which else comes first.
LEADERLESS = frozenset(
    {"nucleus", "min-p", "beam", "gumbel", "superposed-plain", "superposed-ngrams"}
)
DRAFTERS: Mapping[str, Drafter] = MappingProxyType({drafter.name: drafter for drafter in _ALL})
