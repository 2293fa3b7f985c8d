"""Our forward pass over a shared cache equals transformers' own plain forward, to 1e-4."""

from __future__ import annotations

import copy
from collections.abc import Collection
from contextlib import closing
from itertools import islice

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    LlamaConfig,
    PretrainedConfig,
    Qwen2Config,
    Starcoder2Config,
)

from polydraft.completion.drafters import Task
from polydraft.completion.engine import Engine
from polydraft.completion.guessers.layer_skip import LayerSkip
from polydraft.completion.meter import Meter
from polydraft.completion.ngram import NGrams
from polydraft.completion.protocols import Feed
from polydraft.completion.rows import Ends, Row
from polydraft.completion.tree import DraftTree
from polydraft.models.transformer import TransformerModel

SIZE = dict(
    vocab_size=97,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=256,
    attn_implementation="eager",
)
CONFIGS = {
    "qwen2": Qwen2Config(**SIZE, use_sliding_window=False),
    "qwen2 with mixed windows": Qwen2Config(
        **SIZE, use_sliding_window=True, sliding_window=12, max_window_layers=1
    ),
    "starcoder2 with window and biases": Starcoder2Config(**SIZE, sliding_window=12, use_bias=True),
    "llama": LlamaConfig(**SIZE),
    "gemma": GemmaConfig(**SIZE, head_dim=8),
}


def pair(config: PretrainedConfig) -> tuple[torch.nn.Module, TransformerModel]:
    """The same random weights twice: transformers' own eager attention, and ours."""
    torch.manual_seed(0)
    plain = AutoModelForCausalLM.from_config(copy.deepcopy(config)).eval()
    ours = AutoModelForCausalLM.from_config(copy.deepcopy(config))
    ours.load_state_dict(plain.state_dict())
    return plain, TransformerModel.of(ours)


@torch.inference_mode()
def plain_logits(module: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    return module(input_ids=torch.tensor([ids]), use_cache=False).logits[0]


def logits_without(module: torch.nn.Module, ids: list[int], skip: Collection[int]) -> torch.Tensor:
    """transformers' own logits when sublayers add nothing: 2 i is layer i's attention, 2 i + 1 its
    MLP."""

    def nothing(_module: torch.nn.Module, _inputs: object, output: object) -> object:
        if isinstance(output, tuple):
            return (torch.zeros_like(output[0]), *output[1:])
        return torch.zeros_like(output)

    layers = module.model.layers
    parts = [part for layer in layers for part in (layer.self_attn, layer.mlp)]
    hooks = [parts[each].register_forward_hook(nothing) for each in skip]
    try:
        return plain_logits(module, ids)
    finally:
        for hook in hooks:
            hook.remove()


@pytest.fixture(params=CONFIGS, scope="module")
def models(request):
    return pair(CONFIGS[request.param])


IDS = [(7 * i * i + 3) % 97 for i in range(40)]


def prefill(model: TransformerModel, ids: list[int], cache=None):
    cache = cache or model.new_cache()
    start = cache.length
    logits = model.forward(
        cache, Feed(None, torch.tensor(ids), torch.arange(start, start + len(ids)), None)
    )
    return cache, logits


def test_a_full_pass_equals_transformers_own(models):
    plain, ours = models
    _, logits = prefill(ours, IDS)
    assert torch.allclose(logits, plain_logits(plain, IDS), atol=1e-4)


def test_chunks_equal_one_pass(models):
    plain, ours = models
    cache, _ = prefill(ours, IDS[:13])
    _, rest = prefill(ours, IDS[13:], cache)
    assert torch.allclose(rest, plain_logits(plain, IDS)[13:], atol=1e-4)


def test_crop_and_replay_equals_a_fresh_cache(models):
    plain, ours = models
    cache, _ = prefill(ours, IDS)
    cache.crop(17)
    other = [*IDS[:17], 5, 6, 7, 8]
    _, logits = prefill(ours, other[17:], cache)
    assert torch.allclose(logits, plain_logits(plain, other)[17:], atol=1e-4)


def test_branches_of_a_tree_do_not_see_each_other(models):
    plain, ours = models
    cache, _ = prefill(ours, IDS)
    tree = DraftTree(ours, cache, Meter())
    first = tree.next_slot
    # Two branches, a b and c d e, fed as one pass and then one more token each.
    logits = tree.feed(
        torch.tensor([1, 2, 3, 4, 5]),
        [[], [first], [], [first + 2], [first + 2, first + 3]],
    )
    more = tree.feed(torch.tensor([6, 7]), [[first, first + 1], [first + 2, first + 3, first + 4]])
    one, two = [*IDS, 1, 2, 6], [*IDS, 3, 4, 5, 7]
    assert torch.allclose(logits[1], plain_logits(plain, one)[-2], atol=1e-4)
    assert torch.allclose(logits[4], plain_logits(plain, two)[-2], atol=1e-4)
    assert torch.allclose(more[0], plain_logits(plain, one)[-1], atol=1e-4)
    assert torch.allclose(more[1], plain_logits(plain, two)[-1], atol=1e-4)


def test_keeping_one_branch_equals_a_fresh_cache(models):
    plain, ours = models
    cache, _ = prefill(ours, IDS)
    tree = DraftTree(ours, cache, Meter())
    first = tree.next_slot
    tree.feed(torch.tensor([1, 2, 3, 4]), [[], [], [first], [first + 1]])
    tree.keep_only([first + 1, first + 3])
    _, logits = prefill(ours, [9], cache)
    assert torch.allclose(logits[0], plain_logits(plain, [*IDS, 2, 4, 9])[-1], atol=1e-4)


def test_embeddings_in_place_of_ids_are_the_same(models):
    _, ours = models
    cache, _ = prefill(ours, IDS)
    ids = torch.tensor([11])
    by_id = DraftTree(ours, cache, Meter()).feed(ids, [[]])
    by_embedding = DraftTree(ours, cache, Meter()).feed(ours.embed(ids), [[]])
    cache.crop(len(IDS))
    again = DraftTree(ours, cache, Meter()).feed(ours.embed(ids), [[]])
    assert torch.allclose(by_id, again, atol=1e-5)
    assert not torch.allclose(by_id, by_embedding, atol=1e-3)  # one token further on


def test_draft_scores_equal_a_full_forward(models):
    plain, ours = models
    asked = Task(3, Ends(frozenset(), 9), lambda ids, finish: str(ids), lambda row: None, NGrams())
    rows = Engine(ours).draft(IDS, asked, Meter()).rows
    assert len(rows) == 3
    for row in rows:
        logprobs = torch.log_softmax(plain_logits(plain, [*IDS, *row.ids]), -1)
        expected = [float(logprobs[len(IDS) - 1 + i, t]) for i, t in enumerate(row.ids)]
        assert row.logprobs == pytest.approx(expected, abs=1e-4)


def test_padding_rows_of_the_vocabulary_are_dropped():
    plain, _ = pair(CONFIGS["qwen2"])
    ours = TransformerModel.of(plain, vocab_size=90)
    assert prefill(ours, IDS[:4])[1].shape == (4, 90)


def test_the_cache_refuses_more_than_it_may_hold():
    plain, _ = pair(CONFIGS["qwen2"])
    ours = TransformerModel.of(plain, max_slots=16)
    with pytest.raises(ValueError, match="at most 16"):
        prefill(ours, IDS[:17])


@pytest.mark.parametrize("skip", [{0}, {1}, {3, 4}, {2, 3, 5}, set(range(6))])
def test_sublayers_left_out_are_as_if_they_were_not_there(models, skip):
    plain, ours = models
    if not ours.sublayers:
        pytest.skip("transformers' own code leaves none out")
    feed = Feed(None, torch.tensor(IDS), torch.arange(len(IDS)), None, skip=frozenset(skip))
    logits = ours.forward(ours.new_cache(), feed)
    torch.testing.assert_close(logits, logits_without(plain, IDS, skip), atol=1e-4, rtol=0)


def test_after_a_shortened_draft_the_cache_serves_as_if_there_had_been_none(models):
    plain, ours = models
    cache, _ = prefill(ours, IDS[:20])
    if ours.sublayers:
        tree = DraftTree(ours, cache, Meter())
        guesser = LayerSkip(
            frozenset({0, 3}), 1.0
        )  # the first layer's keys are among those missing
        with closing(guesser.propose(tree, Row("greedy", [IDS[20]]))) as proposals:
            assert len(list(islice(proposals, 5))) == 5
    _, logits = prefill(ours, IDS[20:], cache)
    torch.testing.assert_close(logits, plain_logits(plain, IDS)[20:], atol=1e-4, rtol=0)
