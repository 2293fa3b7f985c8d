"""What a model takes is told before it is loaded, and what does not fit is refused with advice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import FAMILIES, write_tiny_directory

from polydraft.completion.prefix_cache import CACHES
from polydraft.completion.protocols import Feed
from polydraft.models.checkpoint import empty_module, read_module
from polydraft.models.errors import OutOfMemoryError
from polydraft.models.load import load_model
from polydraft.models.memory import Need, estimate, memory, peak
from polydraft.models.memory_limit import Wanted, refuse, require_memory
from polydraft.models.registry import DEFAULT_LARGE, DEFAULT_SMALL, load_registry
from polydraft.models.spec import ModelSpec

GB = 10**9
REGISTRY = load_registry()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_directory("qwen2.5-coder", tmp_path_factory.mktemp("model"))


def need(directory: Path | None, weights: str, *, device: str = "cpu", tokens: int = 100) -> Need:
    found = estimate(REGISTRY.get(DEFAULT_SMALL), directory, device, weights, tokens)
    assert found is not None
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_shapes_alone_are_those_of_the_weights(tmp_path: Path, family: str) -> None:
    directory = write_tiny_directory(family, tmp_path / "model")
    shapes = {name: value.shape for name, value in empty_module(directory).named_parameters()}
    loaded = read_module(directory, torch.float32)
    assert shapes == {name: value.shape for name, value in loaded.named_parameters()}


def test_the_caches_are_counted_as_they_are_allocated(directory: Path, tmp_path: Path) -> None:
    spec = REGISTRY.get(DEFAULT_SMALL)
    loaded = load_model(spec, directory, device="cpu", weights="f32", cache_dir=tmp_path)
    cache = loaded.model.new_cache()
    ids = torch.zeros(10, dtype=torch.long)
    loaded.model.forward(cache, Feed(None, ids, torch.arange(10), None))
    # A tiny model's cache ends at its 256 positions; its step of growth is 512.
    assert need(directory, "f32", tokens=10).cache == CACHES * 2 * cache.nbytes


def test_caches_grow_in_steps_of_512_slots(directory: Path) -> None:
    first, same, second = (need(directory, "int8", tokens=n).cache for n in (1, 512, 513))
    assert first == same
    assert second == 2 * first


def test_full_precision_is_four_bytes_a_weight_and_the_tokenizer(directory: Path) -> None:
    module = empty_module(directory)
    weights = 4 * sum(parameter.numel() for parameter in module.parameters())
    tokenizer = need(directory, "f32").weights - weights
    assert 0 < tokenizer < 2000 * module.config.vocab_size


def test_rounded_weights_in_the_cache_need_no_working_memory(
    directory: Path, tmp_path: Path
) -> None:
    spec = REGISTRY.get(DEFAULT_SMALL)

    def working() -> int:
        found = estimate(spec, directory, "cpu", "int8", 100, cache_dir=tmp_path)
        assert found is not None
        return found.working

    first = working()
    load_model(spec, directory, device="cpu", weights="int8", cache_dir=tmp_path)
    assert working() < first


def test_formats_that_keep_the_checkpoint_count_it(directory: Path) -> None:
    held = {name: need(directory, name).weights for name in ("int8", "bf16", "int4w", "int8w")}
    assert held["int8"] < held["bf16"] < held["int4w"] < held["int8w"]


def test_an_accelerator_holds_two_bytes_a_value(directory: Path) -> None:
    count = sum(parameter.numel() for parameter in empty_module(directory).parameters())
    on_gpu, on_cpu = need(directory, "bf16", device="cuda"), need(directory, "f32")
    assert on_gpu.weights == 2 * count
    assert 2 * on_gpu.cache == on_cpu.cache


# name: parameters, layers, key heads, head size, width, inner width, heads, tied; as published
_PUBLISHED = {
    "qwen2.5-coder-0.5b": dict(layers=24, width=896, inner=4864, heads=14, groups=2),
    "qwen2.5-coder-1.5b": dict(layers=28, width=1536, inner=8960, heads=12, groups=2),
    "qwen2.5-coder-3b": dict(layers=36, width=2048, inner=11008, heads=16, groups=2),
    "qwen2.5-coder-7b": dict(layers=28, width=3584, inner=18944, heads=28, groups=4),
    "qwen2.5-coder-14b": dict(layers=48, width=5120, inner=13824, heads=40, groups=8),
}


@pytest.mark.parametrize("weights", ["w8a16", "int8", "bf16", "f32"])
@pytest.mark.parametrize("name", _PUBLISHED)
def test_the_parameter_count_alone_tells_the_total_within_a_third(
    tmp_path: Path, name: str, weights: str
) -> None:
    from transformers import Qwen2Config

    shape = _PUBLISHED[name]
    Qwen2Config(
        vocab_size=151_936 if shape["width"] < 3000 else 152_064,
        hidden_size=shape["width"],
        intermediate_size=shape["inner"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["groups"],
        architectures=["Qwen2ForCausalLM"],
        tie_word_embeddings=False,
    ).save_pretrained(tmp_path)
    exact = estimate(REGISTRY.get(name), tmp_path, "cpu", weights, 1168, cache_dir=tmp_path)
    rough = estimate(REGISTRY.get(name), None, "cpu", weights, 1168)
    assert exact is not None and rough is not None
    assert rough.total == pytest.approx(exact.total, rel=1 / 3)


def test_without_files_or_parameters_nothing_is_claimed() -> None:
    unknown = replace(REGISTRY.get(DEFAULT_SMALL), parameters=None)
    assert estimate(unknown, None, "cpu", "int8", 100) is None
    assert refuse([wanted(unknown)], 1, REGISTRY) is None


def test_a_pair_peaks_while_the_second_is_loaded_or_when_both_are_in_use() -> None:
    assert peak([]) == 0
    assert peak([Need(weights=10, cache=2, working=5)]) == 15
    assert peak([Need(10, 2, 5), Need(20, 3, 0)]) == 10 + 2 + 20 + 3
    assert peak([Need(10, 2, 5), Need(20, 3, 9)]) == 10 + 2 + 20 + 9
    assert peak([Need(10, 2, 50), Need(20, 3, 9)]) == 60


def wanted(spec: ModelSpec | str, weights: str = "f32") -> Wanted:
    spec = REGISTRY.get(spec) if isinstance(spec, str) else spec
    return Wanted(spec, None, "cpu", weights, 1168)


def test_what_fits_is_not_refused() -> None:
    pair = [wanted(DEFAULT_SMALL), wanted(DEFAULT_LARGE)]
    assert refuse(pair, 100 * GB, REGISTRY) is None
    assert refuse(pair, None, REGISTRY) is None  # the system does not tell
    require_memory(pair, 100 * GB, REGISTRY)


def test_a_refusal_says_what_is_needed_what_is_free_and_what_would_fit() -> None:
    pair = [wanted(DEFAULT_SMALL), wanted("qwen2.5-coder-7b")]
    text = refuse(pair, 15 * GB, REGISTRY)
    assert text is not None
    assert text.startswith(
        "qwen2.5-coder-7b (f32) does not fit into memory beside qwen2.5-coder-0.5b (f32): "
    )
    assert "15.0 GB available on cpu" in text
    offered = text.partition("What would fit instead:\n")[2]
    assert "qwen2.5-coder-1.5b (f32)" in offered
    # Neither a model of another family, nor the small one in the large one's place.
    assert "starcoder2" not in offered
    assert DEFAULT_SMALL not in offered
    with pytest.raises(OutOfMemoryError, match="qwen2.5-coder-1.5b") as caught:
        require_memory(pair, 15 * GB, REGISTRY)
    assert isinstance(caught.value, MemoryError)  # who loads it drops others and tries again


def test_the_same_model_in_a_smaller_format_comes_first() -> None:
    text = refuse([wanted("qwen2.5-coder-7b")], 32 * GB, REGISTRY)
    assert text is not None
    offered = text.partition("What would fit instead:\n")[2].splitlines()
    assert offered[0].startswith("  - qwen2.5-coder-7b (")


def test_everything_that_is_offered_fits() -> None:
    budget = 20 * GB
    text = refuse([wanted("qwen2.5-coder-14b")], budget, REGISTRY)
    assert text is not None
    for line in text.partition("What would fit instead:\n")[2].splitlines():
        name, _, weights = line.removeprefix("  - ").partition(":")[0].partition(" ")
        assert refuse([wanted(name, weights.strip("()"))], budget, REGISTRY) is None


def test_where_nothing_fits_the_advice_is_to_do_without_the_large_model() -> None:
    # The small one fits by a hair.
    small = wanted(DEFAULT_SMALL)
    need = small.need()
    assert need is not None
    text = refuse([small, wanted(DEFAULT_LARGE)], need.total, REGISTRY)
    assert text is not None
    assert f"or do without {DEFAULT_LARGE}" in text
    text = refuse([small], GB // 10, REGISTRY)
    assert text is not None
    assert "do without" not in text


def test_memory_is_read_from_the_system(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 16 kB\nMemFree: 1 kB\nMemAvailable: 8 kB\n")
    assert memory(meminfo, tmp_path) == (16 * 1024, 8 * 1024)
    total, free = memory(tmp_path / "none", tmp_path)
    assert free is None
    assert total is None or total > 0
