"""Who asks waits no longer than pays, nothing is asked twice, and failures are said once."""

from __future__ import annotations

import threading

import pytest
from scripted import NOTHING, Scripted, closed

from polydraft.monitors.analysis import (
    Analyser,
    AnalyserError,
    Buffer,
    Changed,
    FileChange,
    Names,
    Question,
    Starting,
)
from polydraft.monitors.broker import Answer, Broker

QUESTION = Question(Buffer("/x.py", "python", "a."), 2)


def names(analyser: Analyser) -> Names:
    return analyser.names(QUESTION, 1)


def go_on() -> None:
    pass


@pytest.fixture
def said() -> list[str]:
    return []


def ended(answer: Answer[Names]) -> Names | None:
    assert answer.done.wait(10)
    return answer.value


def test_equal_questions_are_asked_once_and_answers_remembered(said):
    analyser = Scripted({"a.": closed("x")})
    broker = Broker(analyser, said.append)
    answers = [broker.ask("key", names) for _ in range(8)]
    assert all(ended(each) == closed("x") for each in answers)
    assert ended(broker.ask("other", names)) == closed("x")
    assert len(analyser.asked) == 2
    broker.close()


def test_an_answer_that_is_late_is_not_waited_for_and_comes_all_the_same(said):
    analyser = Scripted({"a.": closed("x")}, gate=threading.Event())
    broker = Broker(analyser, said.append)
    answer = broker.ask("key", names)
    assert not answer.wait(go_on, 0.02)
    assert not broker.ask("key", names).wait(go_on, 0.02)  # who asks again does not wait again
    analyser.gate.set()
    assert ended(answer) == closed("x")
    broker.close()


def test_a_wait_ends_with_the_request(said):
    class Over(Exception):
        pass

    def over() -> None:
        raise Over

    analyser = Scripted(gate=threading.Event())
    broker = Broker(analyser, said.append)
    with pytest.raises(Over):
        broker.ask("key", names).wait(over, 10)
    analyser.gate.set()
    broker.close()


def test_what_was_asked_last_is_answered_first(said):
    gate = threading.Event()
    analyser = Scripted(gate=gate)
    broker = Broker(analyser, said.append)
    order: list[int] = []

    def asking(i: int):
        def run(analyser: Analyser) -> Names:
            order.append(i)
            return names(analyser)

        return run

    answers = [broker.ask(0, asking(0))]
    while not analyser.asked:
        pass
    answers += [broker.ask(i, asking(i)) for i in (1, 2, 3)]
    gate.set()
    for answer in answers:
        ended(answer)
    assert order == [0, 3, 2, 1]
    broker.close()


def test_an_analyser_that_fails_rests_is_reported_once_and_is_asked_again_later(said, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("polydraft.monitors.broker.time.monotonic", lambda: now[0])
    analyser = Scripted({"a.": closed("x")}, failure=AnalyserError("It has died."))
    broker = Broker(analyser, said.append)
    for i in range(8):
        assert ended(broker.ask(i, names)) is None
    assert len(analyser.asked) == 3  # then it rested
    assert len(said) == 1 and said[0].startswith("It has died. ")
    analyser.failure = None
    now[0] += 60
    assert ended(broker.ask("key", names)) == closed("x")
    broker.close()


def test_a_slip_of_an_analyser_does_not_end_the_broker(said):
    analyser = Scripted({"a.": closed("x")}, failure=ZeroDivisionError())
    broker = Broker(analyser, said.append)
    assert ended(broker.ask(1, names)) is None
    analyser.failure = None
    assert ended(broker.ask(1, names)) == closed("x")  # no answer is not remembered
    broker.close()


def test_one_that_still_starts_has_not_failed(said):
    analyser = Scripted({}, failure=Starting("Not yet."))
    broker = Broker(analyser, said.append)
    for i in range(6):
        assert ended(broker.ask(i, names)) is None
    assert len(analyser.asked) == 6 and not said
    analyser.failure = None
    assert ended(broker.ask(0, names)) == NOTHING
    broker.close()


def test_closing_ends_the_analyser_and_all_waits(said):
    analyser = Scripted(gate=threading.Event())
    broker = Broker(analyser, said.append)
    first, second = broker.ask(1, names), broker.ask(2, names)
    threading.Timer(0.05, analyser.gate.set).start()
    broker.close()
    assert analyser.closed
    assert ended(second) is None or ended(first) is None
    assert ended(broker.ask(3, names)) is None
    broker.close()


def test_of_too_many_questions_the_oldest_are_dropped(said):
    analyser = Scripted(gate=threading.Event())
    broker = Broker(analyser, said.append)
    answers = [broker.ask(i, names) for i in range(60)]
    dropped = [answer for answer in answers if answer.done.is_set()]
    assert 30 <= len(dropped) < 40
    assert not answers[-1].done.is_set()
    analyser.gate.set()
    assert ended(answers[-1]) == NOTHING
    broker.close()


def test_after_a_change_on_disk_the_analyser_hears_of_it_and_is_asked_anew(said):
    analyser = Scripted({"a.": closed("x")})
    broker = Broker(analyser, said.append)
    changes = [FileChange("/b.py", Changed.CREATED)]
    assert ended(broker.ask("key", names)) == closed("x")
    for heard in (1, 2):
        broker.files_changed(changes)
        assert ended(broker.ask("key", names)) == closed("x")
        assert analyser.heard == heard * changes and len(analyser.asked) == 1 + heard
    broker.close()


def test_one_that_has_ended_need_not_hear_of_changes(said):
    class Ended(Scripted):
        def files_changed(self, changes: object) -> None:
            raise AnalyserError("ended")

    broker = Broker(Ended({"a.": closed("x")}), said.append)
    broker.files_changed([FileChange("/b.py", Changed.CHANGED)])
    assert ended(broker.ask("key", names)) == closed("x") and not said
    broker.close()
