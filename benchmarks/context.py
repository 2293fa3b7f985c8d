"""What text of other files buys and costs where it is needed. `make bench-context`.

A point is cut at an identifier that the file uses once, does not define, and that a file which it
imports defines (found with `ast`, not with the product's own resolver). The project's files lie in
a folder; `gather` chooses from it, and the product's completer completes the same point

    none        without context
    signatures  with nothing open: outlines of imported files alone
    chunks      without outlines: chunks of the imported files, as if they had been visited
    all         three other files of the folder visited of late, three more open

Every prompt is computed from an empty KV cache; arms take turns in rotating order.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import random
import re
import statistics
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from benchmarks import devset, quality
from benchmarks.drafters import load
from benchmarks.harness import Row, median_ratio, report
from polydraft.completion.completer import EngineCompleter
from polydraft.completion.engine import Engine
from polydraft.completion.meter import Meter
from polydraft.completion.prefix_cache import CACHES
from polydraft.completion.types import Budget, ContextChunk, Request
from polydraft.lsp_server.context import gather
from polydraft.lsp_server.ignore import IgnoreRules
from polydraft.lsp_server.source_files import FileCache

K = 3
ARMS = ("none", "signatures", "chunks", "all")
# Names that a line needs no other file for.
_NAME = re.compile(r"[^\W\d]\w*")
_COMMON = frozenset(
    name
    for kind in (str, bytes, dict, list, set, int, float, BaseException, Path, object, builtins)
    for name in dir(kind)
)


@dataclass(frozen=True)
class Module:
    """One file of a project, as far as `ast` tells."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        try:
            return ast.parse(self.text)
        except SyntaxError:
            return ast.Module([], [])

    @cached_property
    def defines(self) -> frozenset[str]:
        """Functions, classes, methods, constants and attributes."""
        names: set[str] = set()
        for node in ast.walk(self.tree):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    names.add(node.name)
                case ast.Attribute(value=ast.Name(id="self"), ctx=ast.Store()):
                    names.add(node.attr)
        for scope in ast.walk(self.tree):
            if isinstance(scope, ast.ClassDef | ast.Module):
                for node in scope.body:
                    targets = node.targets if isinstance(node, ast.Assign) else []
                    if isinstance(node, ast.AnnAssign):
                        targets = [node.target]
                    names |= {target.id for target in targets if isinstance(target, ast.Name)}
        return frozenset(names)

    @cached_property
    def import_lines(self) -> frozenset[int]:
        nodes = (n for n in ast.walk(self.tree) if isinstance(n, ast.Import | ast.ImportFrom))
        return frozenset(n for node in nodes for n in range(node.lineno, node.end_lineno + 1))


@dataclass(frozen=True, slots=True)
class Project:
    """All Python files of a project, by path, and those in which points may lie."""

    name: str
    modules: Mapping[str, Module]
    candidates: Sequence[str]

    @classmethod
    def of(cls, source: devset.Source) -> Project:
        wheel = devset.fetch(source)
        with zipfile.ZipFile(wheel) as archive:
            modules = {
                name: Module(name, archive.read(name).decode("utf-8", "replace"))
                for name in sorted(archive.namelist())
                if name.startswith(f"{source.folder}/") and name.endswith(".py")
            }
        return cls(source.package, modules, list(devset.files(wheel, source.folder)))

    def write(self, root: Path) -> None:
        for name, module in self.modules.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(module.text, encoding="utf-8")

    def imported(self, path: str, hops: int = 3) -> set[str]:
        """The files that define what the file imports, through those that hand names on."""
        found: set[str] = set()
        for node in ast.walk(self.modules[path].tree):
            if isinstance(node, ast.Import):
                found |= {self._file(alias.name) for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = _absolute(node, path)
                for alias in node.names:
                    inner = self._file(f"{base}.{alias.name}")
                    found.add(inner or self._home(base, alias.name, hops))
        return found - {"", path}

    def _file(self, module: str) -> str:
        stem = module.replace(".", "/")
        places = (f"{stem}.py", f"{stem}/__init__.py")
        return next((place for place in places if place in self.modules), "")

    def _home(self, module: str, name: str, hops: int) -> str:
        path = self._file(module)
        if not path or name in self.modules[path].defines or not hops:
            return path
        for node in ast.walk(self.modules[path].tree):
            if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
                return self._home(_absolute(node, path), name, hops - 1)
        return path


def _absolute(node: ast.ImportFrom, path: str) -> str:
    if not node.level:
        return node.module or ""
    package = PurePosixPath(path).parts[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


def points(project: Project) -> list[tuple[devset.Point, str]]:
    """At most one point a file, with the identifier that it is about."""
    found = []
    for path in project.candidates:
        module = project.modules[path]
        text = module.text
        foreign: set[str] = set()
        for other in project.imported(path):
            foreign |= project.modules[other].defines
        places = list(_places(module, foreign - _COMMON))
        if places:
            start, end, name = random.Random(f"{project.name} {path}").choice(places)
            kind = "dot" if text[:start].endswith(".") else "mid"
            point = devset.Point(
                project.name, path, kind, text[:start], text[end:], text[start:end]
            )
            found.append((point, name))
    return found


def _places(module: Module, foreign: set[str]) -> Iterator[tuple[int, int, str]]:
    """[start, end) of the truths that begin with a name of another file, and the name."""
    text = module.text
    counts = Counter(_NAME.findall(text))
    for kind in ("dot", "mid"):
        for start, end in devset.places(text, kind):
            truth = text[start:end]
            name = _NAME.match(truth)
            if name is None or name.group() not in foreign or not _telling(name.group()):
                continue
            if text[:start].endswith(("def ", "class ")):
                continue  # the truth defines the name
            row = text.count("\n", 0, start) + 1
            once = counts[name.group()] == _NAME.findall(truth).count(name.group())
            if once and row not in module.import_lines:
                yield start, end, name.group()


def _telling(name: str) -> bool:
    return len(name) > 3 and not name.startswith("__")


# Arms -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A project on disk, as the language server sees it."""

    root: Path
    project: Project
    rules: IgnoreRules
    files: FileCache

    @classmethod
    def of(cls, root: Path, project: Project) -> Place:
        project.write(root)
        return cls(root, project, IgnoreRules(root), FileCache())

    def context(self, request: Request, arm: str) -> tuple[ContextChunk, ...]:
        path = self.root / request.path
        text = request.prefix + request.suffix
        if arm == "none":
            return ()
        open_documents, recent = {path: text}, []
        if arm == "chunks":
            open_documents = {path: ""}  # imports nothing
            recent = [self.root / name for name in sorted(self.project.imported(request.path))]
        elif arm == "all":
            near = self._beside(request.path)
            recent = [self.root / name for name in near[:3]]
            open_documents |= {
                self.root / name: self.project.modules[name].text for name in near[3:6]
            }
        return gather(
            self.root, path, request, open_documents, recent, self.rules, files=self.files
        )

    def _beside(self, path: str) -> list[str]:
        """Other files of the folder, as the user may have visited them: in a fixed random order."""
        folder = PurePosixPath(path).parent
        names = [n for n in self.project.modules if PurePosixPath(n).parent == folder and n != path]
        random.Random(path).shuffle(names)
        return names


@dataclass(frozen=True, slots=True)
class Result:
    """What one arm gave at one point."""

    exact_first: bool
    exact: bool
    prefix: float
    named: bool  # the identifier is in one of the drafts
    offered: bool  # the identifier is in the context
    prompt_tokens: int
    prefill_s: float
    gather_s: float


def complete(
    completer: EngineCompleter,
    engine: Engine,
    place: Place,
    point: devset.Point,
    name: str,
    arm: str,
    prompt_tokens: int,
) -> Result:
    """One arm at one point, from an empty KV cache."""
    request = Request(
        point.prefix, point.suffix, point.path, "python", k=K, multiline=False,
        budget=Budget(prompt_tokens),
    )  # fmt: skip
    started = time.perf_counter()
    context = place.context(request, arm)
    gathered = time.perf_counter()
    request = replace(request, context=context)
    for token in range(CACHES):  # as many other prompts as it remembers leave nothing of this one
        engine.prefill([token], Meter())
    emptied = time.perf_counter()
    completer.prefill(request)
    prefilled = time.perf_counter()
    completion = completer.complete(request)
    texts = [quality.text_here(draft) for draft in completion.drafts]
    return Result(
        exact_first=quality.exact(texts[:1], point.truth),
        exact=quality.exact(texts, point.truth),
        prefix=quality.best_prefix(texts, point.truth),
        named=any(name in _NAME.findall(text) for text in texts),
        offered=any(name in _NAME.findall(chunk.text) for chunk in context),
        prompt_tokens=completion.stats.prompt_tokens,
        prefill_s=prefilled - emptied,
        gather_s=gathered - started,
    )


# Figures ----------------------------------------------------------------------------------------


def summary(results: Sequence[Result]) -> dict[str, tuple[float, str]]:
    """Measure -> value and unit."""
    prefills = [result.prefill_s for result in results]
    gathers = sorted(result.gather_s * 1000 for result in results)

    def mean(key: str) -> tuple[float, str]:
        return statistics.fmean(getattr(result, key) for result in results), ""

    return {
        "exact match@1": mean("exact_first"),
        f"exact match@{K}": mean("exact"),
        f"best prefix@{K}": mean("prefix"),
        f"identifier in one of {K} drafts": mean("named"),
        "identifier in the context": mean("offered"),
        "prompt": (mean("prompt_tokens")[0], "tokens"),
        "prefill, cold, mean": (statistics.fmean(prefills), "s"),
        "gather p50": (statistics.median(gathers), "ms"),
        "gather p95": (gathers[int(0.95 * (len(gathers) - 1))], "ms"),
    }


def figures(results: Mapping[str, Sequence[Result]]) -> list[Row]:
    """Rows of every arm, then the gain of context with its 95 % interval over the points."""
    rows = []
    for arm, found in results.items():
        rows += [Row(f"{arm}: {key}", *value) for key, value in summary(found).items()]
    for arm in ARMS[1:]:
        prefills = ([r.prefill_s for r in results[a]] for a in (arm, "none"))
        rows.append(Row(f"{arm} / none: prefill, median of ratios", median_ratio(*prefills), "x"))
        for key, label in (("exact", f"exact match@{K}"), ("named", "identifier in drafts")):
            ours, without = ([float(getattr(r, key)) for r in results[a]] for a in (arm, "none"))
            low, high = quality.paired_interval(ours, without)
            rows.append(Row(f"{arm} - none, {label}: 95 % from", low, ""))
            rows.append(Row(f"{arm} - none, {label}: 95 % to", high, ""))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three points, under a minute")
    parser.add_argument("--split", choices=["dev", "test"], default="test")
    parser.add_argument("--points", type=int, default=150)
    parser.add_argument("--prompt-tokens", type=int, default=Budget().prompt_tokens)
    asked = parser.parse_args()
    completer, engine = load()
    with tempfile.TemporaryDirectory() as folder:
        chosen = []
        sources = [source for source in devset.sources() if source.split == asked.split]
        for source in sources[: 1 if asked.quick else None]:
            project = Project.of(source)
            place = Place.of(Path(folder).resolve() / source.package, project)
            chosen += [(place, *found) for found in points(project)]
        random.Random(0).shuffle(chosen)
        results: dict[str, list[Result]] = {arm: [] for arm in ARMS}
        for number, (place, point, name) in enumerate(chosen[: 3 if asked.quick else asked.points]):
            turn = number % len(ARMS)
            for arm in (*ARMS[turn:], *ARMS[:turn]):
                results[arm].append(
                    complete(completer, engine, place, point, name, arm, asked.prompt_tokens)
                )
    print(f"{len(results['none'])} of {len(chosen)} points of {asked.split}, k = {K}")
    name = "context" if asked.split == "test" else f"context-{asked.split}"
    report(name, figures(results), asked.quick)


if __name__ == "__main__":
    main()
