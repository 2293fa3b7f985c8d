"""What may come next without asking the exact model, one way a file, behind one protocol.

`guesser.Guesser` proposes tokens, `ahead.Ahead` decides how many of them a request has checked,
`kit.Guessers` holds what a model's guessers have learnt.
"""

from __future__ import annotations

from polydraft.completion.guessers.ahead import Ahead
from polydraft.completion.guessers.guesser import Guess, Guesser
from polydraft.completion.guessers.kit import GUESSERS, Guessers

__all__ = ["GUESSERS", "Ahead", "Guess", "Guesser", "Guessers"]
