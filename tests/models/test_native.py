"""The native pass equals transformers' own on the same rounded weights, for rows of every kind."""

from __future__ import annotations

import copy
from contextlib import closing
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_transformer import CONFIGS, IDS, logits_without, plain_logits
from transformers import AutoModelForCausalLM

from polydraft.completion.guessers.layer_choice import match_on
from polydraft.completion.guessers.layer_skip import LayerSkip
from polydraft.completion.meter import Meter
from polydraft.completion.protocols import Feed
from polydraft.completion.rows import Row
from polydraft.completion.tree import DraftTree
from polydraft.models.native_cache import NativeCache
from polydraft.models.native_support import LANES, OUTPUTS, processor_serves, supports
from polydraft.models.threads import available
from polydraft.models.transformer import TransformerModel

if not processor_serves():
    pytest.skip("this processor lacks the kernels' instructions", allow_module_level=True)

from polydraft.models.native import NativeModel, native_tensors, rounded
from polydraft.models.native_forward import product, quantize

SERVED = ("qwen2", "llama", "starcoder2 with window and biases")


def dense(tensors: dict[str, torch.Tensor], name: str, layer: int) -> torch.Tensor:
    """The rounded weights [N, K] that the blocks stand for."""
    levels = tensors[f"{name}.levels"][layer].transpose(1, 2).flatten(0, 1).flatten(1)
    return levels.float() * tensors[f"{name}.scale"][layer][:, None]


def times(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """x [M, K] times weight [N, K], transposed, as the pass computes it -> [M, N]."""
    levels, scale = np.empty(x.shape, np.int16), np.empty(len(x), np.float32)
    quantize(x.numpy(), levels, scale)
    out = np.empty((len(x), len(weight)), np.float32)
    product(levels, scale, *(part.numpy() for part in rounded([(weight, None)])), out, False, 1)
    return torch.from_numpy(out)


def with_rounded_weights(module: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Put the rounded weights into transformers' module."""

    def fill(name: str, layer: int, *linears: torch.nn.Linear) -> None:
        weight, at = dense(tensors, name, layer), 0
        for linear in linears:
            end = at + linear.weight.shape[0]
            linear.weight = torch.nn.Parameter(weight[at:end].clone(), requires_grad=False)
            at = end

    for i, layer in enumerate(module.model.layers):
        attention, mlp = layer.self_attn, layer.mlp
        fill("qkv", i, attention.q_proj, attention.k_proj, attention.v_proj)
        fill("out", i, attention.o_proj)
        gated = hasattr(mlp, "gate_proj")
        fill("up", i, *((mlp.gate_proj, mlp.up_proj) if gated else (mlp.c_fc,)))
        fill("down", i, mlp.down_proj if gated else mlp.c_proj)
    embedding = module.get_input_embeddings().weight.detach().clone()
    fill("head", 0, module.lm_head)
    module.get_input_embeddings().weight = torch.nn.Parameter(embedding)


@pytest.fixture(params=SERVED, scope="module")
def models(request):
    torch.manual_seed(0)
    plain = AutoModelForCausalLM.from_config(copy.deepcopy(CONFIGS[request.param])).eval()
    tensors = native_tensors(plain)
    embedding = plain.get_input_embeddings().weight.detach()
    native = NativeModel(plain.config, embedding, plain.model.rotary_emb, tensors, threads=2)
    with_rounded_weights(plain, tensors)
    return plain, native


def feed(model: NativeModel, cache: NativeCache, ids: list[int]) -> torch.Tensor:
    positions = torch.arange(cache.length, cache.length + len(ids))
    return model.forward(cache, Feed(None, torch.tensor(ids), positions, None))


def test_one_pass_equals_transformers_own(models):
    plain, native = models
    logits = feed(native, native.new_cache(), IDS)
    torch.testing.assert_close(logits, plain_logits(plain, IDS), atol=1e-4, rtol=0)


@given(cut=st.lists(st.integers(1, 39), max_size=4))
@settings(max_examples=15, deadline=None)
def test_passes_of_any_size_equal_one_pass(models, cut):
    _, native = models
    whole = feed(native, native.new_cache(), IDS)
    cache = native.new_cache()
    ends = [0, *sorted(set(cut)), len(IDS)]
    parts = [feed(native, cache, IDS[a:b]) for a, b in zip(ends, ends[1:], strict=False)]
    torch.testing.assert_close(torch.cat(parts), whole, atol=2e-5, rtol=0)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 8, 13])
def test_rows_of_a_tree_see_their_own_branch_only(models, rows):
    plain, native = models
    cache = native.new_cache()
    feed(native, cache, IDS[:20])
    tree = DraftTree(native, cache, Meter())
    first = [(5 * r + 1) % 97 for r in range(rows)]
    then = [(11 * r + 2) % 97 for r in range(rows)]
    tree.feed(torch.tensor(first), [[] for _ in range(rows)])
    logits = tree.feed(torch.tensor(then), [[20 + r] for r in range(rows)])
    for r in range(rows):
        expected = plain_logits(plain, [*IDS[:20], first[r], then[r]])[-1]
        torch.testing.assert_close(logits[r], expected, atol=1e-4, rtol=0)


def test_a_kept_branch_serves_as_if_it_had_been_alone(models):
    plain, native = models
    cache = native.new_cache()
    feed(native, cache, IDS[:20])
    tree = DraftTree(native, cache, Meter())
    tree.feed(torch.tensor([7, 9, 11]), [[], [], []])
    tree.keep_only([21])
    logits = feed(native, cache, [13])
    torch.testing.assert_close(
        logits[-1], plain_logits(plain, [*IDS[:20], 9, 13])[-1], atol=1e-4, rtol=0
    )


def test_a_mixture_of_embeddings_can_be_fed(models):
    _, native = models
    mixed = 0.5 * native.embed(torch.tensor([3])) + 0.5 * native.embed(torch.tensor([3]))
    cache, other = native.new_cache(), native.new_cache()
    at = torch.zeros(1, dtype=torch.long)
    as_mixture = native.forward(cache, Feed(mixed, None, at, None))
    as_token = native.forward(other, Feed(None, torch.tensor([3]), at, None))
    torch.testing.assert_close(as_mixture, as_token)


def test_a_full_cache_says_so(models):
    _, native = models
    cache = NativeCache(3, 2, 8, max_length=4)
    with pytest.raises(ValueError, match="at most 4 slots, not 5"):
        feed(native, cache, [1, 2, 3, 4, 5])


@given(
    rows=st.integers(1, 9),
    inputs=st.integers(1, 6).map(lambda n: n * LANES),
    outputs=st.integers(1, 5).map(lambda n: n * OUTPUTS),
    threads=st.integers(1, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_the_integer_product_is_exact(rows, inputs, outputs, threads, seed):
    random = np.random.default_rng(seed)
    x = random.integers(-3000, 3001, (rows, inputs)).astype(np.int16)
    w = random.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    blocks = w.reshape(outputs // OUTPUTS, OUTPUTS, -1, LANES).transpose(0, 2, 1, 3).copy()
    ones, zeros = np.ones(outputs, np.float32), np.zeros(outputs, np.float32)
    out = np.zeros((rows, outputs), np.float32)
    product(x, np.ones(rows, np.float32), blocks, ones, zeros, out, False, threads)
    expected = x.astype(np.int64) @ w.T.astype(np.int64)
    np.testing.assert_array_equal(out, expected.astype(np.float32))


def test_sums_of_the_largest_levels_do_not_overflow():
    size = 4864
    x = np.full((1, size), 1.0, np.float32)
    levels, scale = np.empty((1, size), np.int16), np.empty(1, np.float32)
    quantize(x, levels, scale)
    assert int(levels.astype(np.int64).sum()) * 127 < 2**31
    sums = times(torch.ones(1, size), torch.ones(4, size))
    torch.testing.assert_close(sums, torch.full((1, 4), float(size)), rtol=1e-3, atol=0)


def test_inputs_are_rounded_far_finer_than_weights():
    torch.manual_seed(0)
    weight, x = torch.randn(64, 256), torch.randn(5, 256)
    levels, scale, _ = rounded([(weight, None)])
    exact = x @ (levels.transpose(1, 2).flatten(0, 1).flatten(1).float() * scale[:, None]).T
    error = (times(x, weight) - exact).norm() / exact.norm()
    assert error < 2e-4


def test_architectures_with_mixed_windows_are_left_to_others():
    assert not supports(CONFIGS["qwen2 with mixed windows"])
    assert not supports(CONFIGS["gemma"])


def test_torch_gets_its_threads_back_for_a_model_that_needs_them(models):
    """Beside the native pass torch's threads would spin; a packed model has no other."""
    plain, native = models
    feed(native, native.new_cache(), IDS[:4])
    assert torch.get_num_threads() == 1
    other = TransformerModel.of(plain)
    positions = torch.arange(4)
    other.forward(other.new_cache(), Feed(None, torch.tensor(IDS[:4]), positions, None))
    assert torch.get_num_threads() == available()


@pytest.mark.parametrize("skip", [{0}, {1}, {3, 4}, {2, 3, 5}, set(range(6))])
def test_sublayers_left_out_are_as_if_they_were_not_there(models, skip):
    plain, native = models
    positions = torch.arange(len(IDS))
    feed_ = Feed(None, torch.tensor(IDS), positions, None, skip=frozenset(skip))
    logits = native.forward(native.new_cache(), feed_)
    torch.testing.assert_close(logits, logits_without(plain, IDS, skip), atol=1e-4, rtol=0)


def test_a_draft_of_the_shortened_model_leaves_no_trace(models):
    plain, native = models
    cache = native.new_cache()
    feed(native, cache, IDS[:20])
    tree = DraftTree(native, cache, Meter())
    guesser = LayerSkip(frozenset({1, 4}), 1.0)
    with closing(guesser.propose(tree, Row("greedy", [IDS[20]]))) as proposals:
        assert len(list(islice(proposals, 5))) == 5
    assert cache.length == 20
    logits = feed(native, cache, IDS[20:])
    torch.testing.assert_close(logits, plain_logits(plain, IDS)[20:], atol=1e-4, rtol=0)


def test_the_layer_choice_asks_the_model_and_leaves_its_cache(models):
    _, native = models
    cache = native.new_cache()
    feed(native, cache, IDS[:20])
    assert native.sublayers == 6
    assert match_on(native, cache, IDS[20:], frozenset()) == 1
    assert 0 <= match_on(native, cache, IDS[20:], frozenset(range(6))) <= 1
    assert cache.length == 20
