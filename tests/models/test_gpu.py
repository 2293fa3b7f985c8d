"""On CUDA as on the CPU: attention, rows of a tree, and a decode step as a CUDA graph."""

from __future__ import annotations

import pytest
import torch
from test_shared_prefix import IDS, apart, prefilled, random_case, textbook
from tiny import tiny_model

from polydraft.completion.protocols import Feed
from polydraft.models.transformer import TransformerModel

cuda = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
F32, BF16 = torch.float32, torch.bfloat16


def model(family: str, device: str, dtype: torch.dtype) -> TransformerModel:
    return TransformerModel.of(tiny_model(family, 97).to(device, dtype))


def tree_logits(model: TransformerModel) -> torch.Tensor:
    """Two steps of three rows, then a re-score pass of two paths -> logits [10, V]."""
    tree = prefilled(model, 16)
    first = tree.next_slot
    one = tree.feed(torch.tensor([1, 2, 3]), [[], [], []])
    two = tree.feed(torch.tensor([4, 5, 6]), [[first], [first + 1], [first + 2]])
    at = first + 6
    paths = [[first], [first, at], [first + 1], [first + 1, at + 2]]
    return torch.cat([one, two, tree.feed(torch.tensor([7, 8, 9, 10]), paths)])


@pytest.mark.parametrize("family", ["qwen2.5-coder", "starcoder2", "codegemma"])
@pytest.mark.parametrize(
    ("device", "dtype", "close"),
    [
        pytest.param("cpu", BF16, 0.03),
        pytest.param("cuda", F32, 1e-3, marks=cuda),
        pytest.param("cuda", BF16, 0.03, marks=cuda),
    ],
)
def test_rows_of_a_tree_are_those_of_the_cpu_in_float32(
    family: str, device: str, dtype: torch.dtype, close: float
) -> None:
    truth = tree_logits(model(family, "cpu", F32))
    found = tree_logits(model(family, device, dtype))
    assert (found - truth).norm() < close * truth.norm()


@pytest.mark.parametrize("size", [5, 64])  # 5: the flash kernel does not serve
@pytest.mark.parametrize(
    ("device", "dtype", "close"),
    [
        pytest.param("cpu", BF16, 0.01),
        pytest.param("cuda", F32, 1e-5, marks=cuda),
        pytest.param("cuda", BF16, 0.01, marks=cuda),
    ],
)
def test_shared_prefix_is_attention(
    size: int, device: str, dtype: torch.dtype, close: float
) -> None:
    for seed, new, prefix, behind in ((0, 1, 300, 3), (1, 8, 1000, 40), (2, 64, 90, 64)):
        case = random_case(seed, 2, 7, new, prefix, behind, size)
        visible = case[3]
        visible[0, prefix:] = False
        query, key, value = (x.to(dtype) for x in case[:3])
        truth = textbook(query, key, value, visible, 0.125)
        moved = query.to(device), key.to(device), value.to(device), visible
        found = apart(moved, prefix, 0.125).cpu().double()
        assert (found - truth).norm() < close * truth.norm()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_decode_step_replayed_as_a_cuda_graph_is_the_eager_one() -> None:
    ours = model("qwen2.5-coder", "cuda", BF16)
    cache = ours.new_cache()
    ours.forward(cache, Feed(None, torch.tensor(IDS), torch.arange(len(IDS)), None))
    visible = torch.cat([torch.ones(3, len(IDS)), torch.eye(3)], 1).bool()
    positions = torch.full((3,), len(IDS))
    masks = ours._masks(cache, Feed(None, torch.tensor([1, 2, 3]), positions, visible))
    inputs = ours.embed(torch.tensor([1, 2, 3])).clone()
    positions = positions.cuda()

    @torch.inference_mode()
    def step() -> torch.Tensor:
        return ours._decoder(inputs, positions, masks, cache, 0)  # writes the same slots each time

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    with torch.inference_mode():
        inputs.copy_(ours.embed(torch.tensor([4, 5, 6])))
    graph.replay()
    replayed = captured.clone()
    assert torch.allclose(replayed, step(), atol=1e-2)
