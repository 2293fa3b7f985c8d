"""What a pair takes back leaves no trace: both caches hold what a plain pass would have written."""

from __future__ import annotations

import copy

import pytest
import torch
from test_transformer import CONFIGS
from transformers import AutoModelForCausalLM

from polydraft.completion.drafters import Task
from polydraft.completion.engine import Engine
from polydraft.completion.guessers.ahead import Ahead
from polydraft.completion.guessers.lookup import Lookup
from polydraft.completion.meter import Meter
from polydraft.completion.ngram import NGrams
from polydraft.completion.pacing import Costs
from polydraft.completion.pair import PairEngine
from polydraft.completion.pass_costs import PassCosts
from polydraft.completion.protocols import Cache, Feed, Model
from polydraft.completion.rows import Ends
from polydraft.completion.switching import Thresholds, policy_of
from polydraft.completion.types import Switch
from polydraft.models.native_cache import NativeCache
from polydraft.models.native_support import processor_serves
from polydraft.models.transformer import TransformerModel

COSTS = Costs(PassCosts({1: 1.0, 8: 1.1}), PassCosts({1: 4.0, 8: 4.4, 16: 9.0}))
POLICIES = ("spec", "bild", "cascade", "ead")
KINDS = {
    "qwen2": "transformers",
    "starcoder2 with window and biases": "transformers",
    "gemma": "transformers",
    "llama": "native",
    "qwen2 ": "native",
}


def plain(config: str, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    module = AutoModelForCausalLM.from_config(copy.deepcopy(CONFIGS[config])).eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "norm" not in name:
                parameter.normal_(std=0.15)  # so that two models differ clearly
    return module


def model(kind: str, config: str, seed: int) -> Model:
    module = plain(config, seed)
    if kind == "transformers":
        return TransformerModel.of(module)
    from polydraft.models.native import NativeModel, native_tensors

    embedding = module.get_input_embeddings().weight.detach()
    rotary, tensors = module.model.rotary_emb, native_tensors(module)
    return NativeModel(module.config, embedding, rotary, tensors, threads=1)


@pytest.fixture(scope="module", params=KINDS)
def models(request):
    kind = KINDS[request.param]
    if kind == "native" and not processor_serves():
        pytest.skip("this processor lacks the kernels' instructions")
    return tuple(model(kind, request.param.strip(), seed) for seed in (0, 1))


def keys_and_values(cache: Cache) -> list[torch.Tensor]:
    """What a cache holds: the slots of every layer, keys then values."""
    if isinstance(cache, NativeCache):
        keys, values = cache._keys[..., : cache.length], cache._values[:, :, : cache.length]
        return [torch.from_numpy(each.copy()) for each in (keys, values)]
    return [buffer[:, :, : cache.length] for buffer in (*cache._keys, *cache._values)]


def fresh(model: Model, ids: list[int]) -> Cache:
    cache = model.new_cache()
    model.forward(cache, Feed(None, torch.tensor(ids), torch.arange(len(ids)), None))
    return cache


def task(k: int, prompt: list[int]) -> Task:
    key = lambda ids, finish: str(tuple(ids)) if ids else None  # noqa: E731
    ends = Ends(frozenset({0}), 10)
    return Task(k, ends, key, lambda row: None, NGrams(), ahead=Ahead(Lookup(prompt)))


@pytest.mark.parametrize("policy", POLICIES)
def test_both_caches_hold_what_a_fresh_pass_writes_to_1e_4(models, policy):
    """Keys and values of every slot and layer, after requests that took tokens back, went on from
    each other and left other drafts behind. The native pass rounds activations to 16 bits, so that
    a tensor's last digits tip: 1e-4 of its largest value, where that is above 1."""
    switching = policy_of(policy, Thresholds(entropy=1.0, entropy_return=0.5, rollback=0.5))
    engines = [Engine(each) for each in models]
    pair = PairEngine(engines[0], engines[1], switching, COSTS)
    generator = torch.Generator().manual_seed(0)
    kinds: set[Switch] = set()
    for k in (1, 3, 4):
        prompt = torch.randint(1, 97, (20,), generator=generator).tolist()
        for _ in range(3):  # the user accepts what is offered, in part
            rows = pair.draft(
                prompt, task(k, prompt), Meter(), pair.plan("auto", k, 0).drafter
            ).rows
            assert rows
            kinds |= {event.kind for row in rows for event in row.switches}
            for engine in engines:
                held = engine._prompts._held[-1]
                assert held.cache.length == len(held.ids) >= len(prompt) - 1
                assert held.ids == [*prompt, *rows[0].ids][: len(held.ids)]
                expected = fresh(engine.model, held.ids)
                pairs = zip(keys_and_values(held.cache), keys_and_values(expected), strict=True)
                for ours, theirs in pairs:
                    assert ours.abs().max() > 0.01
                    largest = max(1.0, float(theirs.abs().max()))
                    torch.testing.assert_close(ours, theirs, atol=1e-4 * largest, rtol=0)
            prompt = [*prompt, *rows[0].ids[:4], 5]
    assert (Switch.HAND_OVER if policy == "ead" else Switch.ROLLBACK) in kinds


def test_a_slot_too_many_or_another_token_would_be_seen(models):
    """The comparison above can fail."""
    small = models[0]
    ids = list(range(1, 20))
    right, wrong = fresh(small, ids), fresh(small, [*ids[:-1], 33])
    apart = [
        (ours - theirs).abs().max()
        for ours, theirs in zip(keys_and_values(right), keys_and_values(wrong), strict=True)
    ]
    assert max(apart) > 0.01
