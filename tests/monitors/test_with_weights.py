"""The default model under monitors, with real analysers: names that exist, in every draft."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator

import pytest

from polydraft.completion.completer import EngineCompleter
from polydraft.completion.drafters.auto import Auto
from polydraft.completion.engine import Engine
from polydraft.completion.types import Completion, Deadline, Request
from polydraft.models.load import load_model
from polydraft.models.registry import DEFAULT_SMALL, load_registry
from polydraft.models.store import ensure_model
from polydraft.monitors.analysers.catalogue import create
from polydraft.monitors.analysis import AnalyserSettings, Buffer, Grade, Question
from polydraft.monitors.broker import Broker
from polydraft.monitors.monitoring import MONITORS, DocumentMonitoring
from polydraft.monitors.vocabularies import Vocabularies

pytestmark = pytest.mark.weights

TEXT = """\
from dataclasses import dataclass


@dataclass
class Invoice:
    customer_name: str
    line_amounts: list[float]
    currency_code: str = "EUR"

    def total_due(self) -> float:
        return sum(self.line_amounts)


def describe(invoice: Invoice) -> str:
    return f"{invoice.customer_name}"


def report(invoices: list[Invoice]) -> None:
    for invoice in invoices:
        print(invoice."""
MEMBERS = {"customer_name", "line_amounts", "currency_code", "total_due"}


@pytest.fixture(scope="module")
def completer() -> EngineCompleter:
    spec = load_registry().get(DEFAULT_SMALL)
    loaded = load_model(spec, ensure_model(spec), device="cpu")
    engine = Engine(loaded.model, Auto(loaded.passes))
    return EngineCompleter(engine, loaded.tokenizer, loaded.prompt_format)


@pytest.fixture(scope="module")
def vocabularies() -> Vocabularies:
    return Vocabularies()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def broker(tmp_path, said, request) -> Iterator[Broker]:
    name = getattr(request, "param", "jedi")
    made = Broker(create(name, AnalyserSettings(str(tmp_path))), said.append)
    question = Question(Buffer(str(tmp_path / "x.py"), "python", TEXT), len(TEXT))
    answer = made.ask("warm", lambda analyser: analyser.names(question, 30))
    assert answer.done.wait(30)
    yield made
    made.close()


def completed(
    completer: EngineCompleter, monitoring: DocumentMonitoring | None, drafter: str, k: int, **how
) -> Completion:
    request = Request(TEXT, "\n", language="python", k=k, drafter=drafter, multiline=False)
    return completer.complete(request, monitoring=monitoring, **how)


def first_names(answer: Completion) -> set[str]:
    return {found.group() for each in answer.drafts if (found := re.match(r"\w+", each.text))}


@pytest.mark.parametrize(
    ("drafter", "k"),
    [("greedy", 1), ("led-beam", 3), ("superposed", 8), ("superposed-plain", 8), ("beam", 5)]
    + [("eager-fork", 3), ("gumbel", 3), ("nucleus", 3)],
)
def test_every_draft_of_every_method_names_what_exists(
    completer, vocabularies, broker, tmp_path, drafter, k
):
    """All monitors at once; the drafts are in different states from the second token on."""
    path = str(tmp_path / "x.py")
    monitoring = DocumentMonitoring(path, vocabularies, broker, rules=MONITORS)
    answer = completed(completer, monitoring, drafter, k)
    special = {name for name in first_names(answer) if name.startswith("__")}
    assert answer.drafts and first_names(answer) - special <= MEMBERS


def test_without_a_monitor_the_model_makes_a_name_up(completer):
    assert not first_names(completed(completer, None, "greedy", 1)) <= MEMBERS


def test_each_of_eight_superposed_drafts_was_constrained_in_its_own_state(
    completer, vocabularies, broker, tmp_path
):
    """A fresh monitor, led along each draft's tokens, rules none of them out."""
    path = str(tmp_path / "x.py")
    monitoring = DocumentMonitoring(path, vocabularies, broker)
    answer = completed(completer, monitoring, "superposed", 8)
    request = Request(TEXT, "\n", language="python", k=8, multiline=False)
    tokenizer = completer._tokenizer
    checked = 0
    for draft in answer.drafts:
        monitor = monitoring.monitor(request, tokenizer, "", lambda: None)
        assert monitor is not None
        state = monitor.begin()
        for token in draft.token_ids:
            masks = monitor.constrain(state, lambda token=token: (token,)).masks
            checked += sum(mask.hard for mask in masks)
            assert not any(mask.hard and mask.loses(token) for mask in masks), draft.text
            state = monitor.observe(state, token)
    assert len(answer.drafts) >= 2 and checked >= len(answer.drafts)


def test_interventions_say_what_was_wanted_and_who_knew_better(
    completer, vocabularies, broker, tmp_path
):
    monitoring = DocumentMonitoring(str(tmp_path / "x.py"), vocabularies, broker)
    (draft,) = completed(completer, monitoring, "greedy", 1).drafts
    first = draft.interventions[0]
    assert (first.at, first.monitor, first.analyser) == (0, "dereference", "jedi")
    assert first.grade == Grade.CLOSED.value and first.names > len(MEMBERS)
    assert first.wanted != first.taken and draft.text.startswith(first.taken)


@pytest.mark.parametrize("broker", ["jedi", "ty"], indirect=True)
def test_drafts_come_although_the_analyser_hangs_and_it_is_said_once(
    completer, vocabularies, broker, tmp_path, said, monkeypatch
):
    monkeypatch.setattr("polydraft.monitors.dereference.HANG", 0.5)
    analyser = broker._analyser
    child = getattr(analyser._process.current, "child", analyser._process.current)
    os.kill(child.pid, signal.SIGSTOP)
    monitoring = DocumentMonitoring(
        str(tmp_path / "new.py"), vocabularies, broker, rules=("dereference",)
    )
    answer = completed(completer, monitoring, "greedy", 1, deadline=Deadline.after(60))
    assert answer.drafts
    deadline = time.monotonic() + 30
    while not said:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert len(said) == 1 and "did not answer within" in said[0]
    while not first_names(completed(completer, monitoring, "greedy", 1)) <= MEMBERS | {"__repr__"}:
        assert time.monotonic() < deadline  # it has been started anew
    assert len(said) == 1


def test_what_is_typed_of_a_name_is_healed_under_the_monitor(
    completer, vocabularies, broker, tmp_path
):
    monitoring = DocumentMonitoring(str(tmp_path / "x.py"), vocabularies, broker)
    request = Request(
        TEXT + "curr", "\n", language="python", k=1, multiline=False, anchor=len(TEXT)
    )
    (draft,) = completer.complete(request, monitoring=monitoring).drafts
    assert draft.text.startswith("ency_code")
