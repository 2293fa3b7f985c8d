from __future__ import annotations

import threading

from polydraft.lsp_server.completers import CompleterPool, Failed, Loaded, Loading, LoadState
from polydraft.lsp_server.settings import ModelSettings
from tests.fakes import FakeProvider

SMALL, LARGE = ModelSettings("small"), ModelSettings("large")


class Ear:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[LoadState] = []
        self._changed = threading.Condition()

    def __call__(self, state: LoadState) -> None:
        with self._changed:
            self.heard.append(state)
            self._changed.notify_all()

    def wait_for(self, kind: type[LoadState], times: int = 1) -> None:
        def enough() -> bool:
            return sum(isinstance(state, kind) for state in self.heard) >= times

        with self._changed:
            assert self._changed.wait_for(enough, timeout=10)


def test_a_model_is_loaded_once_for_all_who_ask() -> None:
    provider = FakeProvider()
    provider.gate.clear()
    pool = CompleterPool(provider)
    one, two = Ear(), Ear()
    pool.acquire(SMALL, one)
    pool.acquire(SMALL, two)
    provider.gate.set()
    for ear in (one, two):
        ear.wait_for(Loaded)
        assert isinstance(ear.heard[0], Loading)
        assert ear.heard[-1] == Loaded(provider.completer)
    assert provider.loads == [SMALL]


def test_progress_reaches_the_listeners_without_repetition() -> None:
    provider = FakeProvider()
    provider.gate.clear()
    ear = Ear()
    CompleterPool(provider).acquire(SMALL, ear)
    ear.wait_for(Loading, 2)
    provider.gate.set()
    ear.wait_for(Loaded)
    assert ear.heard == [
        Loading(),
        Loading("Fetching the weights", 0.5),
        Loaded(provider.completer),
    ]


def test_a_failure_carries_the_remedy_and_asking_again_tries_again() -> None:
    provider = FakeProvider(errors=[RuntimeError("No disk space; free 500 MB.")])
    pool, ear = CompleterPool(provider), Ear()
    pool.acquire(SMALL, ear)
    ear.wait_for(Failed)
    assert ear.heard[-1] == Failed("No disk space; free 500 MB.")
    pool.release(SMALL, ear)
    pool.acquire(SMALL, ear)
    ear.wait_for(Loaded)


def test_an_unused_model_stays_until_another_one_is_asked_for() -> None:
    provider = FakeProvider()
    pool = CompleterPool(provider)

    def use(model: ModelSettings) -> None:
        ear = Ear()
        pool.acquire(model, ear)
        ear.wait_for(Loaded)
        pool.release(model, ear)

    use(SMALL)
    use(SMALL)
    assert provider.loads == [SMALL]
    use(LARGE)
    use(SMALL)
    assert provider.loads == [SMALL, LARGE, SMALL]


def test_who_has_left_hears_no_more() -> None:
    provider = FakeProvider()
    provider.gate.clear()
    pool, gone, stays = CompleterPool(provider), Ear(), Ear()
    pool.acquire(SMALL, gone)
    pool.acquire(SMALL, stays)
    stays.wait_for(Loading)
    pool.release(SMALL, gone)
    before = len(gone.heard)
    provider.gate.set()
    stays.wait_for(Loaded)
    assert len(gone.heard) == before


def test_closing_stops_a_load_at_its_next_report() -> None:
    provider = FakeProvider()
    provider.gate.clear()
    pool = CompleterPool(provider)
    pool.acquire(SMALL, Ear())
    loaders = [each for each in threading.enumerate() if each.name == "polydraft-loader"]
    pool.close()
    for loader in loaders:
        loader.join(10)
        assert not loader.is_alive()
