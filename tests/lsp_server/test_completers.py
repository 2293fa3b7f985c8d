from __future__ import annotations

import threading
from collections.abc import Callable

from polydraft.lsp_server.completers import (
    UNUSED_S,
    CompleterPool,
    Failed,
    Loaded,
    Loading,
    LoadState,
)
from polydraft.lsp_server.settings import ModelSettings
from tests.fakes import FakeProvider

SMALL, LARGE, OTHER = (ModelSettings(name) for name in ("small", "large", "other"))


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


class Clock:
    """A timer that rings when the test says so."""

    def __init__(self) -> None:
        self.set: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        entry = (seconds, call)
        self.set.append(entry)
        return lambda: self.set.remove(entry) if entry in self.set else None

    def ring(self) -> None:
        for entry in list(self.set):
            self.set.remove(entry)
            entry[1]()


def use(pool: CompleterPool, model: ModelSettings) -> Ear:
    ear = Ear()
    pool.acquire(model, ear)
    ear.wait_for(Loaded)
    return ear


def test_an_unused_model_is_dropped_after_a_while() -> None:
    provider, clock = FakeProvider(), Clock()
    pool = CompleterPool(provider, clock)
    pool.release(SMALL, use(pool, SMALL))
    pool.release(SMALL, use(pool, SMALL))
    assert provider.loads == [SMALL]
    assert [seconds for seconds, _ in clock.set] == [UNUSED_S]
    clock.ring()
    use(pool, SMALL)
    assert provider.loads == [SMALL, SMALL]


def test_a_model_is_not_dropped_while_anybody_uses_it() -> None:
    provider, clock = FakeProvider(), Clock()
    pool = CompleterPool(provider, clock)
    one, _ = use(pool, SMALL), use(pool, SMALL)
    pool.release(SMALL, one)
    assert clock.set == []
    pool.release(SMALL, use(pool, SMALL))
    clock.ring()
    use(pool, SMALL)
    assert provider.loads == [SMALL]


def test_another_model_leaves_an_unused_one_where_it_is_if_both_fit() -> None:
    provider = FakeProvider()
    pool = CompleterPool(provider, Clock())
    pool.release(SMALL, use(pool, SMALL))
    use(pool, LARGE)
    use(pool, SMALL)
    assert provider.loads == [SMALL, LARGE]


def test_where_memory_is_needed_unused_models_go_at_once_and_used_ones_stay() -> None:
    provider = FakeProvider()
    pool = CompleterPool(provider, Clock())
    use(pool, SMALL)
    pool.release(OTHER, use(pool, OTHER))
    provider.errors = [MemoryError("8 GB are needed.")]
    use(pool, LARGE)
    use(pool, SMALL)
    use(pool, OTHER)
    assert provider.loads == [SMALL, OTHER, LARGE, LARGE, OTHER]


def test_without_anything_to_drop_a_lack_of_memory_is_told() -> None:
    provider = FakeProvider(errors=[MemoryError("8 GB are needed."), MemoryError()])
    pool, ear = CompleterPool(provider, Clock()), Ear()
    pool.acquire(LARGE, ear)
    ear.wait_for(Failed)
    assert ear.heard[-1] == Failed("8 GB are needed.")
    pool.release(LARGE, ear)
    pool.acquire(LARGE, ear)
    ear.wait_for(Failed, 2)
    assert ear.heard[-1] == Failed("There is not enough memory for large. Choose a smaller model.")
    assert provider.loads == [LARGE, LARGE]


def test_loading_stops_if_nobody_has_wanted_it_for_a_while() -> None:
    provider, clock = FakeProvider(), Clock()
    provider.gate.clear()
    pool, ear = CompleterPool(provider, clock), Ear()
    pool.acquire(SMALL, ear)
    ear.wait_for(Loading, 2)
    (loader,) = [each for each in threading.enumerate() if each.name == "polydraft-loader"]
    pool.release(SMALL, ear)
    assert loader.is_alive()
    clock.ring()
    loader.join(10)
    assert not loader.is_alive()
    provider.gate.set()
    use(pool, SMALL)
    assert provider.loads == [SMALL, SMALL]


def test_the_memory_that_the_settings_allow_reaches_the_provider() -> None:
    provider, ear = FakeProvider(), Ear()
    pool = CompleterPool(provider, Clock())
    pool.acquire(SMALL, ear, 3_000_000_000)
    ear.wait_for(Loaded)
    use(pool, LARGE)
    assert provider.budgets == [3_000_000_000, None]


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
