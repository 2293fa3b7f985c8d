"""Stochastic beam search: k drafts sampled WITHOUT replacement (Kool et al., arXiv 1903.06059).

Glossary (section 3 and Algorithm 1 there)
    phi   a prefix's exact log-probability, from the distribution that is sampled
    G     its perturbed log-probability: phi plus Gumbel noise, conditioned on the largest G among
          its children being its own
The k prefixes with the largest G are an exact sample without replacement at every step, so no two
drafts have the same tokens. Candidates are the 64 best tokens of each prefix; temperature 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from polydraft.completion.drafters.run import announce, distinct, out_of_time
from polydraft.completion.drafters.sampling import CANDIDATES
from polydraft.completion.drafters.task import Task
from polydraft.completion.meter import OutOfTime
from polydraft.completion.rows import Choice, Row, choices, look_once
from polydraft.completion.tree import DraftTree


@dataclass(frozen=True, slots=True)
class GumbelTopK:
    name: str = "gumbel"
    seed: int = 0

    def draft(self, tree: DraftTree, logits: torch.Tensor, task: Task) -> list[Row]:
        generator = torch.Generator().manual_seed(self.seed)
        held = [(0.0, Row("sampled"))]  # G and the row, best first; finished rows stay
        held = self._extend(held, choices(logits[None], CANDIDATES), task, generator)
        try:
            while alive := [row for _, row in held if row.finish is None]:
                seen = look_once(tree, alive, CANDIDATES, task.watch)
                held = self._extend(held, seen, task, generator)
        except OutOfTime:
            out_of_time(row for _, row in held)
        return distinct((row for _, row in held), task.key)

    def _extend(
        self,
        held: list[tuple[float, Row]],
        seen: list[Choice],
        task: Task,
        generator: torch.Generator,
    ) -> list[tuple[float, Row]]:
        """seen: of the unfinished rows, in order. The k prefixes with the largest G."""
        answers = iter(seen)
        candidates: list[tuple[float, Row, Choice | None, int]] = []
        for perturbed, row in held:
            if row.finish is not None:
                candidates.append((perturbed, row, None, 0))
                continue
            choice = next(answers)
            phi = sum(row.logprobs) + torch.tensor(choice.logprobs)
            noisy = conditioned_gumbel(phi, perturbed, generator)
            candidates += [(g, row, choice, i) for i, g in enumerate(noisy.tolist())]
        candidates.sort(key=lambda candidate: -candidate[0])
        kept: list[tuple[float, Row]] = []
        for perturbed, row, answer, i in candidates[: task.k]:
            if answer is None:
                kept.append((perturbed, row))
                continue
            branch = Row("sampled", [*row.ids], [*row.logprobs], [*row.seen], [*row.slots])
            branch.take(answer.tokens[i], answer.logprobs[i], answer, task.ends)
            announce([branch], task)
            kept.append((perturbed, branch))
        return kept


def conditioned_gumbel(phi: torch.Tensor, top: float, generator: torch.Generator) -> torch.Tensor:
    """phi [C] -> Gumbel(phi) variables [C] whose largest is `top` (Kool et al., appendix B.3)."""
    phi = phi.double()
    uniform = torch.rand(phi.shape, generator=generator, dtype=torch.double).clamp_min(1e-300)
    noisy = phi - torch.log(-torch.log(uniform))
    v = top - noisy + torch.log1p(-torch.exp(noisy - noisy.max()))
    return top - v.clamp_min(0) - torch.log1p(torch.exp(-v.abs()))
