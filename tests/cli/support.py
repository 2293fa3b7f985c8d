"""What the tests of the command line share: a loader with a fake model, and a way to run."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from polydraft.lsp_server.analysts import MakeAnalyser, no_analyser
from polydraft.lsp_server.cli import run
from polydraft.lsp_server.one_shot import ModelInUse
from polydraft.lsp_server.settings import ModelSettings, Switching
from polydraft.models.progress import Progress
from tests.fakes import FakeCompleter, FakePair, Write

LARGE = "qwen2.5-coder-1.5b"  # the command line's large model goes by any name that is known


def pair_of(*, small: Write = lambda _: ["small"], large: Write = lambda _: ["large"]) -> FakePair:
    """A pair of two that write what they are told, with something to say to the user."""
    return FakePair(FakeCompleter(small), FakeCompleter(large), notices=["The large model failed."])


@dataclass
class FakeLoader:
    """Gives a fake model at once, or raises `error`."""

    completer: FakeCompleter = field(default_factory=FakeCompleter)
    error: BaseException | None = None
    loads: list[ModelSettings] = field(default_factory=list)
    budgets: list[int | None] = field(default_factory=list)
    stages: tuple[tuple[str, int, int], ...] = ()
    pairs: list[tuple[str, str, Switching]] = field(default_factory=list)
    pair_of: FakePair = field(default_factory=pair_of)
    pair_error: BaseException | None = None

    make_analyser: MakeAnalyser = field(default=no_analyser)

    def is_ready(self, name: str) -> bool:
        return True

    def load(
        self, model: ModelSettings, progress: Progress, budget_bytes: int | None = None
    ) -> ModelInUse:
        self.loads.append(model)
        self.budgets.append(budget_bytes)
        for stage in self.stages:
            progress(*stage)
        if self.error is not None:
            raise self.error
        return ModelInUse(self.completer, model.name, "cpu", "int8", 1.5)

    def pair(self, small: ModelInUse, large: ModelInUse, switching: Switching) -> FakePair:
        if self.pair_error is not None:
            raise self.pair_error
        self.pairs.append((small.name, large.name, switching))
        return self.pair_of


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Shell:
    """Runs command lines in this process and keeps what they print."""

    capture: pytest.CaptureFixture[str]
    loader: FakeLoader = field(default_factory=FakeLoader)

    def __call__(self, *arguments: str) -> Result:
        code = run(arguments, self.loader)
        out, err = self.capture.readouterr()
        return Result(code, out, err)

    @property
    def completer(self) -> FakeCompleter:
        return self.loader.completer


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
