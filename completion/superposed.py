"""Superposed decoding: k drafts from ONE row of the model (Shen et al., arXiv 2405.18400, §3).

Glossary
    hypothesis   a draft's token ids and its score, the sum of its log p_f (nats)
    mixture      the input of a step: sum_i gamma_i E(last token of hypothesis i), with gamma the
                 softmax of the scores; one cache slot serves all hypotheses
    p            the model's next-token distribution behind the mixture, cut to its m best tokens
                 and renormalised; the same for every hypothesis
    p_f          p interpolated with the hypothesis's own n-grams, which tells them apart

Where it departs from the paper: n-grams are interpolated linearly and by confidence (`ngram.py`),
so a token that they never saw keeps most of its probability; each hypothesis ends by itself.

Under a monitor each hypothesis has its own p: what it may take of the same distribution.

Worked example, k = 2: scores of a: log .6, b: log .3; p = {x: .7, y: .2}, no n-grams
    -> candidates ax .42, ay .12, bx .21, by .06; kept: ax, bx.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from polydraft.completion.ngram import NGrams
from polydraft.completion.rows import Ends
from polydraft.completion.watch import Watch


@dataclass(frozen=True, slots=True)
class Hypothesis:
    ids: tuple[int, ...]
    score: float
    stopped: bool = False  # by a stop token, which is not among the ids


class Superposition:
    """k hypotheses that advance together, one call of `advance` for each forward pass."""

    def __init__(
        self, logits: torch.Tensor, k: int, ends: Ends, ngrams: NGrams, watch: Watch
    ) -> None:
        """logits [V]: the exact model's, behind the prompt; hypothesis i takes the i-th best."""
        self._k = k
        self._ends = ends
        self._ngrams = ngrams
        self._watch = watch
        self.finished: list[Hypothesis] = []
        self.alive: list[Hypothesis] = [Hypothesis((), 0.0)]
        self._extend(logits)

    def mixture(self) -> tuple[torch.Tensor, torch.Tensor]:
        """-> the alive hypotheses' last tokens [A] and their weights gamma [A], which sum to 1."""
        tokens = torch.tensor([h.ids[-1] for h in self.alive])
        return tokens, torch.softmax(torch.tensor([h.score for h in self.alive]), 0)

    def foresee(self) -> None:
        """The mixture is about to be fed."""
        self._watch.foresee(h.ids for h in self.alive)

    def advance(self, logits: torch.Tensor) -> None:
        """Take the model's answer to the mixture, logits [V]."""
        self._extend(logits)

    def _extend(self, logits: torch.Tensor) -> None:
        m = min(self._k if self._k == 1 else 3 * self._k, logits.shape[-1])
        shared = _best(logits, m)
        candidates: list[Hypothesis] = []
        for h in self.alive:
            (own,) = self._watch.constrain([h.ids], logits[None])
            tokens, p = shared if own.data_ptr() == logits.data_ptr() else _best(own, m)
            candidates += [
                Hypothesis((*h.ids, token), h.score + math.log(max(p_f, 1e-30)))
                for token, p_f in zip(
                    tokens, self._ngrams.interpolate(h.ids, tokens, p), strict=True
                )
            ]
        candidates.sort(key=lambda h: -h.score)
        self.alive = []
        for candidate in candidates[: 2 * self._k]:
            if candidate.ids[-1] in self._ends.stops:
                self.finished.append(Hypothesis(candidate.ids[:-1], candidate.score, stopped=True))
            elif self._over(candidate):
                self.finished.append(candidate)
            elif len(self.alive) < self._k:
                self.alive.append(candidate)

    def _over(self, hypothesis: Hypothesis) -> bool:
        return self._ends.of(hypothesis.ids) is not None


def _best(logits: torch.Tensor, m: int) -> tuple[list[int], list[float]]:
    """The m best tokens that are possible, and their probabilities among themselves."""
    best = logits.topk(m)
    possible = best.values > -math.inf
    values = best.values[possible]
    return best.indices[possible].tolist(), torch.softmax(values, 0).tolist()
