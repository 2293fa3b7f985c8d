"""Real models of two layers, joined and refused as the server does it."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import write_tiny_directory

from polydraft.completion.protocols import Completer
from polydraft.completion.types import Budget, Completion, Request
from polydraft.lsp_server import wiring
from polydraft.lsp_server.cli import run
from polydraft.lsp_server.settings import ModelSettings, Switching
from polydraft.lsp_server.wiring import ModelCompleter, ModelProvider
from polydraft.models.errors import OutOfMemoryError, PairError, UnknownModelError
from polydraft.models.memory import Need

FAMILY = "qwen2.5-coder"
CHECKING = ("bild", "spec", "cascade", "ead")
PLACE = Request("def area(r):\n    return ", "\n", language="python", budget=Budget(64, 8))


@pytest.fixture(scope="module")
def small_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_directory(FAMILY, tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def large_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_directory(FAMILY, tmp_path_factory.mktemp("models") / "large", seed=1)


@pytest.fixture(scope="module")
def shared(shared_cache: Path) -> Iterator[ModelProvider]:
    """For the tests that only read: loading takes seconds, since passes are timed."""
    with pytest.MonkeyPatch.context() as patch:  # this comes before the fixtures of each test
        patch.setenv("POLYDRAFT_CACHE", str(shared_cache))
        yield ModelProvider()


@pytest.fixture(scope="module")
def small(shared: ModelProvider, small_files: Path) -> ModelCompleter:
    return load(shared, small_files)


@pytest.fixture(scope="module")
def large(shared: ModelProvider, large_files: Path) -> ModelCompleter:
    return load(shared, large_files)


@pytest.fixture
def provider() -> ModelProvider:
    """One that holds no models."""
    return ModelProvider()


def load(
    provider: ModelProvider, files: Path | str, weights: str = "f32", budget: int | None = None
) -> ModelCompleter:
    model = ModelSettings(str(files), "cpu", weights)
    return provider.load(model, lambda message, fraction: None, budget_bytes=budget)


# Pairs ------------------------------------------------------------------------------------------


def sees_both(found: Completion, policy: str) -> None:
    assert found.stats.policy == policy
    assert found.stats.large_passes >= 1 and found.stats.large_tokens >= 1
    assert found.stats.forward_passes > found.stats.large_passes
    assert found.stats.escalated and not found.stats.notice
    assert len(found.drafts) >= 1
    for draft in found.drafts:
        assert sum(part.tokens for part in draft.parts) == draft.token_count


@pytest.mark.parametrize("policy", CHECKING)
def test_two_models_of_a_family_draft_together(
    shared: ModelProvider, small: ModelCompleter, large: ModelCompleter, policy: str
) -> None:
    # Two random models agree on nothing, and are sure of nothing.
    switching = Switching(policy, (("entropy", 0.0), ("entropy_return", 0.0), ("rollback", 0.5)))
    sees_both(shared.pair(small, large, switching).complete(PLACE), policy)


def test_rounded_weights_pair_as_exact_ones_do(
    provider: ModelProvider, small_files: Path, large_files: Path
) -> None:
    small, large = (load(provider, files, "int8w") for files in (small_files, large_files))
    sees_both(provider.pair(small, large, Switching("spec")).complete(PLACE), "spec")


def test_greedy_speculation_is_the_large_model_alone_and_the_ends_are_one_model_each(
    shared: ModelProvider, small: ModelCompleter, large: ModelCompleter
) -> None:
    text = "import os, sys, json\nclass Counter:\n    def __init__(self, items=()):\n"
    apart = 0
    for end in range(4, len(text), 5):
        place = replace(PLACE, prefix=text[:end], suffix="", k=1, drafter="greedy")

        def written(completer: Completer, place: Request = place) -> list[tuple[int, ...]]:
            return [draft.token_ids for draft in completer.complete(place).drafts]

        alone = {model: written(model) for model in (small, large)}
        apart += bool(alone[large]) and alone[small] != alone[large]
        for policy, model in (("spec", large), ("large", large), ("small", small)):
            found = written(shared.pair(small, large, Switching(policy)))
            if alone[small] or policy != "spec":  # what has no draft is not judged
                assert found == alone[model], (policy, end)
    assert apart >= 3


def test_a_pair_speaks_the_small_model_s_tokens(
    shared: ModelProvider, small: ModelCompleter, large: ModelCompleter
) -> None:
    pair = shared.pair(small, large, Switching())
    assert pair.tokenizer_id == small.tokenizer_id
    assert pair.encode("def area") == small.encode("def area")


def test_pairs_of_a_model_share_its_engine_and_so_the_prompts_that_it_knows(
    shared: ModelProvider, small: ModelCompleter, large: ModelCompleter
) -> None:
    place = replace(PLACE, prefix="print(index)\nprint(")
    assert small.complete(place).stats.recomputed_tokens > 5
    for policy in ("spec", "bild"):  # each new pair finds what the others have computed
        pair = shared.pair(small, large, Switching(policy))
        assert pair.complete(place).stats.recomputed_tokens == 1
    assert large.complete(place).stats.recomputed_tokens == 1


def test_models_of_two_families_are_refused_with_the_first_token_that_differs(
    shared: ModelProvider, small: ModelCompleter, tmp_path: Path
) -> None:
    other = load(shared, write_tiny_directory("starcoder2", tmp_path / "other"))
    with pytest.raises(PairError, match="their tokenizers differ") as refused:
        shared.pair(small, other, Switching())
    # All words are alike; so it is the first special token.
    first = min(small.loaded.tokenizer.specials.values())
    assert refused.value.token_id == first
    assert f"id {first} is special" in str(refused.value)
    assert "Choose both from one family" in str(refused.value)


@pytest.mark.parametrize("weights", ["f32", "bf16"])
def test_one_model_is_no_pair_not_even_in_two_formats(
    shared: ModelProvider, small: ModelCompleter, small_files: Path, weights: str
) -> None:
    other = small if weights == "f32" else load(shared, small_files, weights)
    with pytest.raises(PairError, match="is both the small and the large model") as refused:
        shared.pair(small, other, Switching())
    assert refused.value.token_id is None


def test_thresholds_that_contradict_each_other_are_told_as_such(
    shared: ModelProvider, small: ModelCompleter, large: ModelCompleter
) -> None:
    with pytest.raises(PairError, match=r"entropy_return \(1.0\) must not be above entropy \(0.5"):
        shared.pair(small, large, Switching("ead", (("entropy", 0.5),)))


# Memory -----------------------------------------------------------------------------------------


def need_of(model: ModelCompleter) -> Need:
    assert model.wanted is not None
    need = model.wanted.need()
    assert need is not None
    return need


def test_what_cannot_fit_is_not_downloaded_and_what_would_is_named(
    provider: ModelProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(wiring, "ensure_model", lambda spec, **_: fetched.append(spec.name))
    with pytest.raises(OutOfMemoryError) as refused:
        load(provider, "qwen2.5-coder-1.5b", "f32", budget=5_000_000_000)
    text = str(refused.value)
    assert text.startswith("qwen2.5-coder-1.5b (f32) does not fit into memory: ")
    assert "5.0 GB available on cpu" in text
    assert "What would fit instead:\n  - qwen2.5-coder-" in text
    assert fetched == []


def test_a_model_that_fits_by_its_size_is_judged_again_by_its_files(
    provider: ModelProvider, small_files: Path
) -> None:
    with pytest.raises(OutOfMemoryError, match="does not fit"):
        load(provider, small_files, budget=1000)
    model = load(provider, small_files, budget=100_000_000)
    assert need_of(model).total < 100_000_000


def test_models_in_memory_count_against_a_budget_and_those_that_are_gone_do_not(
    provider: ModelProvider, small_files: Path, large_files: Path
) -> None:
    small = load(provider, small_files)
    need = need_of(small)
    both = need.weights + need.cache + need.total  # the two are of one size
    with pytest.raises(OutOfMemoryError, match=r"large \(f32\) does not fit .* beside small"):
        load(provider, large_files, budget=both - 1)
    assert load(provider, large_files, budget=both).loaded.name.endswith("large")
    del small
    gc.collect()
    load(provider, small_files, budget=both)


def test_an_unknown_name_is_told_before_memory_is_looked_at(provider: ModelProvider) -> None:
    with pytest.raises(UnknownModelError, match="Did you mean qwen2.5-coder-1.5b"):
        load(provider, "qwen2.5-coder-1.5", budget=1)


def test_loading_tells_its_stage(provider: ModelProvider, small_files: Path) -> None:
    heard: list[tuple[str, float | None]] = []
    model = ModelSettings(str(small_files), "cpu", "f32")
    provider.load(model, lambda *news: heard.append(news))
    assert heard == [(f"Loading {small_files}", None)]


# The command line -------------------------------------------------------------------------------


def complete(place: Path, *arguments: str) -> int:
    """The exit code of `polydraft complete` with the real loader."""
    return run(["complete", "--json", "--device", "cpu", *arguments, f"{place}:1:5"])


def test_the_command_line_joins_two_models_by_their_directories(
    small_files: Path, large_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "a.py"
    place.write_text("x = \n")
    files = ("--model", str(small_files), "--large", str(large_files))
    assert complete(place, *files, "--policy", "spec") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["model"]["name"], answer["large"]["name"]) == ("small", "large")
    assert answer["stats"]["policy"] == "spec"


def test_the_command_line_keeps_to_the_memory_that_is_set(
    small_files: Path, large_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "polydraft.toml").write_text("memory_gb = 0.000001\n")
    (tmp_path / "a.py").write_text("x = \n")
    files = ("--model", str(small_files), "--large", str(large_files))
    assert complete(tmp_path / "a.py", *files) == 1
    message = json.loads(capsys.readouterr().out)["error"]["message"]
    assert message.startswith("small (") and "does not fit into memory" in message
