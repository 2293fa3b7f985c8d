"""Speculative sampling: drafts that follow the large model's distribution, exactly.

(Leviathan et al., arXiv 2211.17192, algorithm 1; Chen et al., arXiv 2302.01318, theorem 1.)

Glossary
    q, p        the small and the large model's next-token distributions, truncated and tempered by
                the same rule (`Sampling.distribution`): what "the distribution" means is the user's
    accept      a token x drawn from q stands with probability min(1, p(x) / q(x))
    residual    where it does not stand, max(0, p - q), normalised, gives the token instead

Worked example: q = {a: .5, b: .5}, p = {a: .8, c: .2}. Drawn a: stands (.8 / .5 > 1). Drawn b:
never stands (p(b) = 0); the residual is {a: .3, c: .2}, so a with .6, c with .4. Together a comes
with .5 + .5 * .6 = .8, as p says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from polydraft.completion.drafters.sampling import Sampling
from polydraft.completion.drafters.task import Task
from polydraft.completion.line import Line
from polydraft.completion.sight import Sight
from polydraft.completion.types import Switch

Distribution = Mapping[int, float]  # token -> probability, the impossible ones left out


def draw(weights: Distribution, generator: torch.Generator) -> int:
    """A token, each with its share of the weights."""
    tokens = list(weights)
    masses = torch.tensor([weights[token] for token in tokens], dtype=torch.double)
    return tokens[int(torch.multinomial(masses, 1, generator=generator))]


def verdict(token: int, q: Distribution, p: Distribution, generator: torch.Generator) -> int:
    """The token itself if it stands, else one from the residual."""
    if float(torch.rand((), generator=generator)) * q[token] < p.get(token, 0.0):
        return token
    residual = {x: p[x] - q.get(x, 0.0) for x in p if p[x] > q.get(x, 0.0)}
    return draw(residual or p, generator)  # empty only by rounding, where p equals q


@dataclass(slots=True)
class SampledSpeculation:
    """k lines drawn independently; both models' views need `sampling.CANDIDATES` choices."""

    small: Sight
    large: Sight
    task: Task
    sampling: Sampling
    length: int  # tokens that the small model draws before a check

    def run(self, lines: Sequence[Line]) -> None:
        """Bring lines without tokens to their ends. `OutOfTime` leaves them unfinished."""
        generator = torch.Generator().manual_seed(self.sampling.seed)
        drawn: dict[int, list[Distribution]] = {}  # q of the tokens not judged, by line
        while running := [line for line in lines if not line.settled]:
            for line in running:
                drawn[id(line)] = []
            for _ in range(self.length):
                writing = [line for line in running if line.finish is None]
                if not writing:
                    break
                self.small.look([line.ids for line in writing])
                for line in writing:
                    view = self.small.behind(line.ids)
                    assert view is not None
                    q = self.sampling.distribution(view.choice)
                    token = draw(q, generator)
                    drawn[id(line)].append(q)
                    line.draw(token, view.logprob(token), view.choice, self.task.ends)
            self.large.look([line.ids for line in running])
            for line in running:
                self._judge(line, drawn[id(line)], generator)

    def _judge(self, line: Line, drawn: Sequence[Distribution], generator: torch.Generator) -> None:
        for q in drawn:
            view = self.large.behind(line.ids[: line.judged])
            token = line.proposed
            assert view is not None and token is not None
            p = self.sampling.distribution(view.choice)
            kept = verdict(token, q, p, generator)
            if kept != token:
                line.reject()
                line.tell(Switch.ROLLBACK)
                line.force(kept, view.logprob(kept), self.task.ends)
                return
            line.confirm(view.logprob(token))
        if line.finish is None:  # one more for nothing
            view = self.large.behind(line.ids)
            assert view is not None
            token = draw(self.sampling.distribution(view.choice), generator)
            line.tell(Switch.HAND_OVER)
            line.force(token, view.logprob(token), self.task.ends)
