"""How good drafts are, against the truth: pure functions of texts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from difflib import SequenceMatcher

import tree_sitter_python
from tree_sitter import Language, Parser

from polydraft.completion.types import Draft


def normalised(text: str) -> str:
    """Without white space at the ends of lines and of the text."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def text_here(draft: Draft) -> str:
    """A draft's text at the depth of the cursor, where a truth is; empty if it is for another."""
    return "" if draft.outdent else draft.text


def exact(drafts: Sequence[str], truth: str) -> bool:
    return normalised(truth) in map(normalised, drafts)


def edit_similarity(drafts: Sequence[str], truth: str) -> float:
    """The best draft's share of matching characters (difflib's ratio), 0 without drafts."""
    goal = normalised(truth)
    ratios = [SequenceMatcher(None, normalised(d), goal, autojunk=False).ratio() for d in drafts]
    return max(ratios, default=0.0)


def best_prefix(drafts: Sequence[str], truth: str) -> float:
    """The longest right beginning among the drafts, as a share of the truth."""
    goal = normalised(truth)
    return max((_common(normalised(d), goal) / len(goal) for d in drafts), default=0.0)


def _common(a: str, b: str) -> int:
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


def distinct(drafts: Sequence[str]) -> int:
    return len({normalised(draft) for draft in drafts})


def parses(text: str) -> bool:
    """Whether tree-sitter finds no error in a Python file."""
    parser = Parser(Language(tree_sitter_python.language()))
    return not parser.parse(text.encode()).root_node.has_error


def paired_interval(
    ours: Sequence[float], theirs: Sequence[float], rounds: int = 2000
) -> tuple[float, float]:
    """95 % bootstrap interval of the mean difference ours - theirs over the same points."""
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    chooser = random.Random(0)
    means = sorted(
        sum(chooser.choices(differences, k=len(differences))) / len(differences)
        for _ in range(rounds)
    )
    return means[int(0.025 * rounds)], means[int(0.975 * rounds)]
