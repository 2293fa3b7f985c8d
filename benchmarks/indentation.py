"""Drafts on a line that the editor has just indented: is the line right, and its depth?

A point is a statement of a pinned source that stands below another line. The user has pressed Enter
behind that line, and the editor has indented as editors do by default: as deep as the line above, a
level deeper behind a colon. The truth is as deep or shallower; places where it is deeper are left
out, since people indent there before they look. Then the user types what belongs there, at the
depth where it belongs, and the prompt is asked for again, for what it costs that the line is begun.
"""

from __future__ import annotations

import argparse
import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks import devset
from benchmarks.drafters import load
from benchmarks.harness import Row, report
from polydraft.completion.completer import EngineCompleter
from polydraft.completion.types import Draft, Request
from polydraft.completion.view import leading
from polydraft.lsp_server.anchor import Anchor, next_anchor

K = 3
AS_DEEP, SHALLOWER = "as deep as the editor's", "shallower"
_LATER = ("else", "elif", "except", "finally")  # begin lines that are no statements of their own


@dataclass(frozen=True, slots=True)
class Point:
    """`above` ends with the line end; the editor's `indent` follows, then `below`."""

    path: str
    above: str
    indent: str
    below: str
    truth: str  # the whole line

    @property
    def kind(self) -> str:
        return AS_DEEP if self.truth.startswith(self.indent) else SHALLOWER


@dataclass(frozen=True, slots=True)
class Result:
    kind: str
    lines: tuple[str, ...]  # what the cursor's line would be with each draft
    truth: str
    recomputed: int  # tokens of the prompt, once the line was begun

    @property
    def first_is_right(self) -> bool:
        return self.lines[:1] == (self.truth,)

    @property
    def one_is_right(self) -> bool:
        return self.truth in self.lines

    @property
    def depth_is_right(self) -> bool:
        return bool(self.lines) and leading(self.lines[0]) == leading(self.truth)


def points(split: str, each: int) -> list[Point]:
    """`each` of either kind, at most one of a kind from a file."""
    found: list[Point] = []
    for source in devset.sources():
        if source.split != split:
            continue
        for path, text in sorted(devset.files(devset.fetch(source), source.folder).items()):
            here = list(_points(path, text))
            chooser = random.Random(path)
            for kind in (AS_DEEP, SHALLOWER):
                of_kind = [point for point in here if point.kind == kind]
                found += chooser.sample(of_kind, min(1, len(of_kind)))
    random.Random(0).shuffle(found)
    kinds = [[point for point in found if point.kind == kind] for kind in (AS_DEEP, SHALLOWER)]
    return [point for pair in zip(*kinds, strict=False) for point in pair][: 2 * each]


def _points(path: str, text: str) -> Iterator[Point]:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    statements = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)}
    lines = text.splitlines(keepends=True)
    for index in range(10, len(lines)):
        above, truth = lines[index - 1].rstrip(), lines[index].rstrip()
        word = truth.lstrip().split(" ")[0].rstrip(":")
        if not above or "\t" in above or not 4 <= len(truth.strip()) <= 80:
            continue
        if index + 1 not in statements and word not in _LATER:
            continue
        if above.lstrip()[:1] in ")]}#" or above.endswith(('"""', ",", "(", "[", "{", "\\")):
            continue
        indent = leading(above) + " " * 4 * above.endswith(":")
        if len(leading(truth)) <= len(indent):
            yield Point(path, "".join(lines[:index]), indent, "".join(lines[index + 1 :]), truth)


def complete(completer: EngineCompleter, point: Point) -> Result:
    suffix = f"\n{point.below}"
    offset, anchor = next_anchor(None, point.above + point.indent, suffix)
    request = Request(
        point.above + point.indent, suffix, point.path, "python", K, offset, multiline=False
    )
    done = completer.complete(request)
    lines = tuple(_line(point, draft) for draft in done.drafts)
    return Result(point.kind, lines, point.truth, _recomputed(completer, point, anchor))


def _recomputed(completer: EngineCompleter, point: Point, anchor: Anchor) -> int:
    """Tokens of the prompt that are computed anew once the line is begun."""
    typed = point.above + point.truth[: len(leading(point.truth)) + 1]
    suffix = f"\n{point.below}"
    offset, _ = next_anchor(anchor, typed, suffix)
    request = Request(typed, suffix, point.path, "python", 1, offset, multiline=False)
    return completer.complete(request).stats.recomputed_tokens


def _line(point: Point, draft: Draft) -> str:
    return draft.accepted(point.indent, "")[0].split("\n")[0].rstrip()


def figures(results: Sequence[Result]) -> list[Row]:
    rows = []
    for kind in (AS_DEEP, SHALLOWER):
        of_kind = [result for result in results if result.kind == kind]
        shares = {
            "first draft's depth is right": [each.depth_is_right for each in of_kind],
            "first draft is the line": [each.first_is_right for each in of_kind],
            f"one of {K} drafts is the line": [each.one_is_right for each in of_kind],
        }
        rows.append(Row(f"{kind}: points", len(of_kind), ""))
        for name, held in shares.items():
            rows.append(Row(f"{kind}: {name}", 100 * sum(held) / len(held), "%"))
        cost = sum(each.recomputed for each in of_kind) / len(of_kind)
        rows.append(Row(f"{kind}: tokens computed anew once the line is begun", cost, "tokens"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="six points of each kind")
    parser.add_argument("--split", choices=["dev", "test"], default="test")
    parser.add_argument("--points", type=int, default=100, help="of each kind")
    options = parser.parse_args()
    completer, _ = load()
    chosen = points(options.split, 6 if options.quick else options.points)
    results = [complete(completer, point) for point in chosen]
    report("indentation", figures(results), options.quick)


if __name__ == "__main__":
    main()
