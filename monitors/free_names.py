"""Names that are known somewhere: a variable that nobody has ever named loses log-probability.

In Python, where a value is read outside of brackets (behind `return`, `=`, `if`, an operator), a
name should be one of the page's, the draft's, the builtins' or a keyword. In brackets it may be an
argument's name or be bound further on (`[x for x in y]`); everywhere else it may be made there.
Nothing is impossible, and no analyser is asked.
"""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass

import torch

from polydraft.completion.monitor import FREE, Constraint, Evidence, Likely, Mask
from polydraft.monitors.context import Context
from polydraft.monitors.spot import Spot

_GAP = " "
_READ = re.compile(
    r"(?:\b(?:return|if|elif|while|and|or|not|in|is|await|yield|assert|raise|del)"
    r"|(?<![=!<>:])=|[+\-*/%<>|&^])\Z"
)
_NAME = re.compile(r"[^\W\d]\w*\Z")
_ALWAYS = frozenset(dir(builtins)) | frozenset(keyword.kwlist) | {"self", "cls", "__name__"}
_ALWAYS |= {"f", "r", "b", "u", "rb", "br", "fr", "rf"}  # of strings


@dataclass(frozen=True, slots=True)
class FreeNames:
    """The rule over one request's page."""

    context: Context
    name: str = "names"

    def foresee(self, spot: Spot) -> None:
        """There is nothing to ask."""

    def constrain(self, spot: Spot, likely: Likely) -> Constraint:
        head = spot.head
        line = head[head.rfind("\n") + 1 :]
        found = _NAME.search(line)
        typed = found.group() if found else ""
        before = line[: len(line) - len(typed)]
        if spot.partial or spot.bracketed:
            return FREE
        if _READ.search(line):
            return self._gap(spot)
        if typed and _reads(before):
            return self._typed(spot, typed)
        return FREE

    def _typed(self, spot: Spot, typed: str) -> Constraint:
        """A name that has begun goes on as one that is known, if it can."""
        known = self._known(spot, typed)
        tokens = self.context.tokens(known, typed.encode())
        if not tokens.numel():
            return FREE
        return Constraint((self._mask(tokens, known, banned=False),))

    def _gap(self, spot: Spot) -> Constraint:
        """Of the tokens that begin with a space and a name, those of no known name lose."""
        known = self._known(spot, "")
        tokens = self.context.words.behind(_GAP).others(known)
        return Constraint((self._mask(tokens, known, banned=True),))

    def _mask(self, tokens: torch.Tensor, known: frozenset[str], banned: bool) -> Mask:
        evidence = Evidence(self.name, "", "open", len(known))  # the page's, not an analyser's
        return Mask(tokens, self.context.strictness.penalty, banned, evidence)

    def _known(self, spot: Spot, typed: str) -> frozenset[str]:
        made = spot.page.grammar.name.findall(spot.draft[: len(spot.draft) - len(typed)])
        return self.context.page.identifiers | _ALWAYS | frozenset(made)


def _reads(before: str) -> bool:
    return before.endswith(_GAP) and _READ.search(before.rstrip()) is not None
