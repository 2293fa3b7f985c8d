from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from fakes import draft

from benchmarks import monitors, monitors_report
from benchmarks.dereferences import Point
from benchmarks.judges import FromAnalyser, known, new_problems
from benchmarks.timed_monitors import Timed
from polydraft.completion.completer import EngineCompleter
from polydraft.completion.monitor import FREE, Constraint, Evidence, Likely, Mask, Monitoring, State
from polydraft.completion.types import Completion, Request
from polydraft.models.load import LoadedModel
from polydraft.monitors.analysis import (
    AnalyserSettings,
    Buffer,
    Grade,
    Name,
    Names,
    Problem,
    Question,
)

POINT = Point("p", "p/a.py", "python", "call", False, "x = a.", "\ny = 1\n", "get(b)")
WORKSPACE = AnalyserSettings("/w")


class Bytes:
    def __len__(self) -> int:
        return 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, ids: list[int]) -> str:
        return bytes(ids).decode()


@dataclass
class NoG:
    """Implements `Monitor` and `Monitoring`: the name does not begin with a g."""

    name: str = "no g"
    closed: bool = False

    def monitor(self, *_: object) -> NoG:
        return self

    def begin(self) -> State:
        return ()

    def observe(self, state: State, token: int) -> State:
        assert isinstance(state, tuple)
        return (*state, token)

    def foresee(self, state: State) -> None:
        pass

    def constrain(self, state: State, likely: Likely) -> Constraint:
        g = Mask(torch.tensor([ord("g")]), banned=True, evidence=Evidence("no g", "toy", "closed"))
        return Constraint((g,)) if state == (ord("."),) else FREE

    def glance(self, request: Request, draft: Any) -> None:
        pass

    def is_sound(self, request: Request, draft: Any) -> bool:
        return True

    def judge(self, request: Request, drafts: Any, poll: Any) -> Any:
        return drafts

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeCompleter:
    """Writes `get(b)`, or `put(b)` under a monitor."""

    asked: list[tuple[int, bool]] = field(default_factory=list)
    prefilled: int = 0

    def prefill(self, request: Request) -> None:
        self.prefilled += 1

    def complete(self, request: Request, monitoring: Monitoring | None) -> Completion:
        self.asked.append((request.k, monitoring is not None))
        if monitoring is not None:
            monitor = monitoring.monitor(request, cast(Any, Bytes()), ".", lambda: None)
            assert monitor is not None
            monitor.constrain(monitor.observe(monitor.begin(), ord(".")), lambda: ())
        texts = ["put(b)" if monitoring else "get(b)", "get(c", "pop()"]
        return Completion(tuple(draft(text) for text in texts[: request.k]))


@pytest.fixture
def found() -> dict[str, dict[str, Any]]:
    completer = FakeCompleter()
    loaded = cast(LoadedModel, SimpleNamespace(tokenizer=Bytes()))
    made = {
        (name, k): Timed(NoG()) if name == "graded" else None
        for k in (1, 3)
        for name in ("none", "graded")
    }
    result = monitors.at_point(cast(EngineCompleter, completer), loaded, POINT, made, turn=1)
    assert completer.prefilled == 1
    # in turns, and the order is the turn's
    assert completer.asked == [(1, True), (3, False), (3, True), (1, False)]
    return result


def test_a_point_is_judged_for_every_variant_and_k(found: dict[str, dict[str, Any]]) -> None:
    assert set(found) == {"none k=1", "none k=3", "graded k=1", "graded k=3"}
    assert found["none k=1"]["first"]["exact"] == 1
    assert found["graded k=1"]["first"]["name"] == 0
    assert found["graded k=3"]["every"]["name"] == 1
    assert found["none k=3"]["parse"] == [True, False, True]
    assert "truth" not in found["none k=3"]
    assert len(found["graded k=1"]["constrained_ms"]) == 1


def test_the_truth_is_walked_from_what_is_held_back_on(found: dict[str, dict[str, Any]]) -> None:
    (loss,) = found["graded k=3"]["truth"]["losses"]
    assert (loss["at"], loss["text"], loss["hard"], loss["analyser"]) == (1, "g", True, "toy")


@pytest.fixture
def records(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    judged = {"names": 3, "truth_known": True, "unknown": False, "problems": ["no b"]}
    for one in found.values():
        one["judged"] = judged
    other = found | {
        "none k=3": found["none k=3"]
        | {"first": dict.fromkeys(found["none k=3"]["first"], 0.0)}
        | {"judged": judged | {"unknown": True, "problems": []}}
    }
    return [
        {"point": name, "project": "p", "fresh": name == "a", "kind": "call", "store": False,
         "truth": "get(b)", "line": "x = a.", "variants": variants}
        for name, variants in (("a", found), ("b", other))
    ]  # fmt: skip


def test_a_summary_says_what_the_records_say(records: list[dict[str, Any]]) -> None:
    none = monitors_report.summary(records, "none", 3)
    graded = monitors_report.summary(records, "graded", 3)
    assert (none["name@1"], none["name@3"], none["time total"]) == (0.5, 1, 1)
    assert (none["unknown name"], none["new errors"]) == (0.5, 0.5)
    assert (graded["truth excluded"], graded["truth penalised"]) == (1, 0)
    assert "truth excluded" not in none
    wrong = monitors_report.wrong_names(records, 3)
    assert wrong["wrong names"] == wrong["wrong names that do not exist, the truth does"] == 0.5
    rows = {row.measure: row for row in monitors_report.targets({"small": records}, 3)}
    assert rows["graded: truth excluded"].met is False
    assert rows["graded - none: name@1"].value == -0.5
    kinds = {row.measure: row.value for row in monitors_report.by_kind(records, "0.5b", 3)}
    assert kinds["0.5b, k=3: points of kind call"] == 2
    assert kinds["0.5b none, k=3, call: name@1"] == 0.5
    assert kinds["0.5b, k=3: points of kind store"] == 0


def test_losses_are_listed_with_their_evidence(
    records: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    monitors_report.show_losses({"small": records[:1]})
    told = capsys.readouterr().out
    assert told.count("excluded") == 1  # once, whatever the number of drafts
    assert "x = a.[get(b)] at 'g'" in told and "no g, toy, closed" in told


def test_a_line_that_was_typed_is_anchored_at_its_beginning() -> None:
    point = replace(POINT, prefix="y = 1\n    x = a.")
    assert monitors.request_at(point, 3).anchor is None
    assert monitors.request_at(point, 3, typed=True).anchor == len("y = 1\n    ")


def test_what_a_monitoring_has_open_is_closed() -> None:
    monitoring = NoG()
    monitors.close(Timed(monitoring))
    monitors.close(None)
    assert monitoring.closed


def test_a_variants_name_says_whether_it_foresees(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Callable[[AnalyserSettings], Monitoring] | None]
    made = {"none": None, "graded": lambda workspace: NoG()}
    monkeypatch.setattr(monitors, "monitorings", lambda language: made)
    plain, late = (
        monitors.make(name, WORKSPACE, "python") for name in ("graded", "graded-unforeseen")
    )
    assert plain is not None and plain.foresees
    assert late is not None and not late.foresees
    assert monitors.make("none", WORKSPACE, "python") is None


class ToyAnalyser:
    name = "toy"
    languages = frozenset({"python"})

    def names(self, question: Question, timeout: float) -> Names:
        assert question.buffer.text == "x = a.\ny = 1\n" and question.offset == 6
        return Names((Name("get"), Name("__len__")), Grade.CLOSED)

    def signatures(self, question: Question, timeout: float) -> tuple[()]:
        return ()

    def problems(self, question: Question, timeout: float) -> tuple[Problem, ...]:
        text = question.buffer.text
        assert question.buffer == Buffer("/w/p/a.py", "python", text)
        problems = [Problem(len(text), len(text), "always")]
        return (*problems, Problem(0, 1, "no put")) if "put" in text else tuple(problems)

    def close(self) -> None:
        pass


def test_an_analyser_is_a_judge() -> None:
    judge = FromAnalyser(ToyAnalyser(), WORKSPACE)
    assert judge.names(POINT) == {"get", "__len__"}
    assert new_problems(judge, POINT, WORKSPACE, "get(c, d)") == []
    assert new_problems(judge, POINT, WORKSPACE, "put(b)") == [": no put"]


@pytest.mark.parametrize(
    ("names", "says"), [({"a", "__b__"}, True), ({"__b__"}, False), (set(), False)]
)
def test_dunders_alone_say_nothing(names: set[str], says: bool) -> None:
    assert bool(known(frozenset(names))) is says
