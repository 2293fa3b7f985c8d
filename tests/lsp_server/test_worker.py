from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from polydraft.completion.types import Cancelled, CancelToken
from polydraft.lsp_server.worker import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


class Held:
    """A job that runs until it is let go or cancelled."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.ended = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, cancel: CancelToken) -> str:
        self.started.set()
        try:
            while not self.let_go.wait(0.001):
                cancel.check()
            return "done"
        finally:
            self.ended.set()


def nothing(_: CancelToken) -> str:
    return "quick"


def test_a_job_gives_its_result_and_its_error(worker: Worker) -> None:
    def broken(_: CancelToken) -> None:
        raise ValueError("broken")

    assert worker.submit("a", nothing).result(10) == "quick"
    with pytest.raises(ValueError, match="broken"):
        worker.submit("a", broken).result(10)
    assert worker.submit("a", nothing).result(10) == "quick"


def test_a_newer_job_of_the_same_key_frees_the_thread_of_the_running_one(worker: Worker) -> None:
    held = Held()
    old = worker.submit("a", held)
    assert held.started.wait(10)
    new = worker.submit("a", nothing)
    with pytest.raises(Cancelled):
        old.result(0)  # whoever waited is answered at once, not when the thread notices
    assert new.result(10) == "quick"
    assert held.ended.is_set()


def test_a_newer_job_takes_the_turn_of_the_waiting_one(worker: Worker) -> None:
    held, order = Held(), []

    def noting(name: str) -> Callable[[CancelToken], None]:
        return lambda _: order.append(name)

    running = worker.submit("x", held)
    assert held.started.wait(10)
    old = worker.submit("a", noting("a old"))
    other = worker.submit("b", noting("b"))
    new = worker.submit("a", noting("a new"))
    held.let_go.set()
    assert running.result(10) == "done"
    other.result(10)
    new.result(10)
    assert order == ["a new", "b"]
    with pytest.raises(Cancelled):
        old.result(0)


def test_jobs_of_other_keys_run_to_their_end(worker: Worker) -> None:
    held = Held()
    first = worker.submit("a", held)
    assert held.started.wait(10)
    second = worker.submit("b", nothing)
    assert not first.done()
    held.let_go.set()
    assert (first.result(10), second.result(10)) == ("done", "quick")


def test_cancelling_the_future_frees_the_thread(worker: Worker) -> None:
    held = Held()
    future = worker.submit("a", held)
    assert held.started.wait(10)
    assert future.cancel()
    assert held.ended.wait(10)


def test_a_waiting_job_whose_future_is_cancelled_never_runs(worker: Worker) -> None:
    held, never = Held(), Held()
    worker.submit("a", held)
    assert held.started.wait(10)
    assert worker.submit("b", never).cancel()
    held.let_go.set()
    assert worker.submit("c", nothing).result(10) == "quick"
    assert not never.started.is_set()


def test_idle_work_runs_only_when_nothing_else_waits(worker: Worker) -> None:
    held, order = Held(), []
    worker.submit("a", held)
    assert held.started.wait(10)
    idle = worker.when_idle("a", lambda _: order.append("idle"))
    real = worker.submit("b", lambda _: order.append("real"))
    held.let_go.set()
    real.result(10)
    idle.result(10)
    assert order == ["real", "idle"]


def test_idle_work_gives_way_to_any_real_job(worker: Worker) -> None:
    held = Held()
    idle = worker.when_idle("a", held)
    assert held.started.wait(10)
    assert worker.submit("b", nothing).result(10) == "quick"
    with pytest.raises(Cancelled):
        idle.result(0)


def test_a_real_job_drops_the_idle_work_of_its_key(worker: Worker) -> None:
    held = Held()
    worker.submit("x", held)
    assert held.started.wait(10)
    idle = worker.when_idle("a", nothing)
    worker.submit("a", nothing)
    with pytest.raises(Cancelled):
        idle.result(0)
    held.let_go.set()


def test_closing_ends_all_jobs_and_the_thread(worker: Worker) -> None:
    held = Held()
    futures = [worker.submit("a", held), worker.submit("b", nothing), worker.when_idle("c", held)]
    assert held.started.wait(10)
    worker.close()
    for future in [*futures, worker.submit("d", nothing)]:
        with pytest.raises(Cancelled):
            future.result(0)
    assert all(thread.name != "polydraft-engine" for thread in threading.enumerate())
