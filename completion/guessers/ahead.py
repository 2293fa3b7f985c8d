"""How far the rows of a request run ahead through guesses: as far as it pays.

Two rules. Of guesses that cost nothing to propose, as many are checked as give the most tokens a
millisecond, by how often guesses of their kinds were right so far and by what passes cost here
(`draft_length.py`). Guesses that cost a step each are not proposed beyond the length that paid on
average, nor behind ones that probably fail: SpecDec++ (Huang et al., arXiv 2405.19715) stops when
all guesses so far hold with less than a certain probability, told by a trained head; here the
guesser's own probabilities tell it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from itertools import islice

from polydraft.completion.draft_length import CheckMs, draft_length, worthwhile
from polydraft.completion.guessers.guesser import Acceptance, Guess, Guesser, Proposal, kept
from polydraft.completion.guessers.nothing import Nothing
from polydraft.completion.pass_costs import PassCosts
from polydraft.completion.rows import Choice, Row
from polydraft.completion.tree import DraftTree

LEAST_SURE = 0.4  # that all guesses so far hold; else no further step is spent on guessing


class Ahead:
    """A guesser, how often it was right, and what passes cost (None: unknown, guesses are free)."""

    def __init__(
        self,
        guesser: Guesser | None = None,
        acceptance: Acceptance | None = None,
        costs: PassCosts | None = None,
    ) -> None:
        self.guesser: Guesser = guesser or Nothing()
        self._acceptance = acceptance or Acceptance()
        self._costs = costs

    def guess(self, tree: DraftTree, row: Row, most: int, beside: int = 0) -> Guess:
        """At most `most` tokens behind the row's pending one; none where guessing does not pay.

        beside: tokens of other rows that the same pass is fed.
        """
        check_ms, step_ms = self._check_ms(beside), self.guesser.step_ms
        least = 0
        if step_ms and most:
            usual = self._acceptance.of(self.guesser.name)
            most = draft_length(step_ms, check_ms, usual, most)
            least = most = most or self._acceptance.tries_again()
        if most < 1:
            return Guess()
        found: list[Proposal] = []
        sure: list[float] = []
        all_hold = 1.0
        with closing(self.guesser.propose(tree, row)) as proposals:
            for proposal in islice(proposals, most):
                found.append(proposal)
                sure.append(self._confidence(proposal))
                all_hold *= sure[-1]
                if step_ms and all_hold < LEAST_SURE:
                    break
        count = worthwhile(sure, check_ms)
        if found and not count:
            count = min(least, 1) or self._acceptance.tries_again()
        return Guess(
            tuple(proposal.token for proposal in found[:count]),
            tuple(proposal.kind for proposal in found[:count]),
        )

    def free(self, tree: DraftTree, row: Row, most: int) -> list[int]:
        """At most `most` tokens that cost nothing to propose, for another model's check."""
        if self.guesser.step_ms:
            return []
        with closing(self.guesser.propose(tree, row)) as proposals:
            return [proposal.token for proposal in islice(proposals, most)]

    def learn(self, pending: int, guess: Guess, said: Sequence[Choice]) -> None:
        """What the exact model said behind a row's pending token and behind each guessed one."""
        right = kept(guess.tokens, said)
        self._acceptance.hear(guess.kinds, right)
        self.guesser.learn((pending, *guess.tokens), said)

    def _confidence(self, proposal: Proposal) -> float:
        if proposal.confidence is not None:
            return proposal.confidence
        return self._acceptance.of(proposal.kind)

    def _check_ms(self, beside: int) -> CheckMs:
        costs = self._costs
        if costs is None:
            return lambda tokens: 1.0
        return lambda tokens: costs.of(tokens + beside)
