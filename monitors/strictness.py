"""From a grade to masks: how much an analyser's answer may rule out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from polydraft.completion.monitor import FREE, Constraint, Evidence, Mask
from polydraft.monitors.analysis import Grade


@dataclass(frozen=True, slots=True)
class Strictness:
    """`penalty` (nats) is what a token loses that no listed name begins with.

    `of_file`: what the file itself has in a place counts as listed. `hard`: where an answer is
    closed, what is neither listed nor known to the file at all is impossible. `plain`: an answer is
    taken at its word, as the paper does (for comparison).
    """

    penalty: float = 5.0  # e⁻⁵ = .007; chosen on the bench's dev half (2.5: docs/measurements.md)
    of_file: bool = True
    hard: bool = True
    plain: bool = False
    canonical: bool = True  # see `name_masks.py`


STRICTNESS = {
    "graded": Strictness(),
    "soft": Strictness(hard=False),
    "plain": Strictness(math.inf, of_file=False, plain=True, canonical=False),
}


def constraint_of(
    grade: Grade,
    strictness: Strictness,
    defining: bool,
    tokens: Callable[[frozenset[str]], torch.Tensor],
    narrow: frozenset[str],
    wide: frozenset[str],
    evidence: Evidence,
    banned: bool = False,
) -> Constraint:
    """`narrow` are the names of this place, `wide` those with all that the file knows beside.

    `tokens` gives of names those that fit, or if `banned` those that do not.
    """
    if grade in (Grade.UNKNOWN, Grade.DEFINING) or not narrow:
        return FREE
    masks = [Mask(tokens(narrow), strictness.penalty, banned, evidence)]
    closed = grade is Grade.CLOSED and not defining
    if strictness.hard and closed and not strictness.plain:
        masks.append(Mask(tokens(wide), banned=banned, evidence=evidence))
    return Constraint(tuple(mask for mask in masks if mask.tokens.numel()))
