"""Prefix and suffix apart are exactly attention, for every architecture, tree and window."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import FAMILIES, tiny_config
from transformers import (
    AutoModelForCausalLM,
    MistralConfig,
    Olmo2Config,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from polydraft.completion.meter import Meter
from polydraft.completion.protocols import Feed
from polydraft.completion.tree import DraftTree
from polydraft.models import attention, shared_prefix
from polydraft.models.attention import group_mask, grouped
from polydraft.models.lean import LeanDecoder, supports
from polydraft.models.plain import PlainDecoder
from polydraft.models.shared_prefix import plain, prefix_length, split_at
from polydraft.models.transformer import TransformerModel

CPU = torch.device("cpu")


def textbook(
    query: torch.Tensor,  # [1, H, M, D]
    key: torch.Tensor,  # [1, G, L, D]
    value: torch.Tensor,  # [1, G, L, D]
    visible: torch.Tensor,  # [M, L]
    scale: float,
) -> torch.Tensor:
    """Softmax attention in float64 with every key repeated -> [1, M, H, D]."""
    copies = query.shape[1] // key.shape[1]
    key, value = (x.double().repeat_interleave(copies, 1) for x in (key, value))
    scores = (query.double() @ key.mT * scale).masked_fill(~visible, -torch.inf)
    return (scores.softmax(-1) @ value).transpose(1, 2)


def random_case(
    seed: int, groups: int, copies: int, new: int, prefix: int, behind: int, size: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Query, key and value of a cache with spare capacity, and a random tree's `visible`."""
    rng = torch.Generator().manual_seed(seed)
    length = prefix + behind
    query = torch.randn(1, groups * copies, new, size, generator=rng)
    key, value = (
        torch.randn(1, groups, length + 7, size, generator=rng)[:, :, :length] for _ in range(2)
    )
    visible = torch.rand(new, length, generator=rng) < 0.4
    visible[:, :prefix] = True
    if prefix == 0:
        visible[range(new), torch.randint(length, (new,), generator=rng)] = True
    return query, key, value, visible


def apart(
    case: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], prefix: int, scale: float
) -> torch.Tensor:
    query, key, value, visible = case
    mask = group_mask(visible[:, prefix:], query.shape[1] // key.shape[1], query.dtype)
    return grouped(query, key, value, mask.to(query.device), scale)


@pytest.mark.parametrize("kernel", ["the processor's", "plain"])
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    groups=st.integers(1, 3),
    copies=st.integers(1, 7),
    new=st.integers(1, 40),
    prefix=st.integers(0, 700),
    behind=st.integers(0, 90),
    size=st.sampled_from([5, 8, 16, 64]),
    scale=st.sampled_from([0.05, 0.3, 1.5]),
)
def test_it_is_attention(
    kernel: str,
    seed: int,
    groups: int,
    copies: int,
    new: int,
    prefix: int,
    behind: int,
    size: int,
    scale: float,
) -> None:
    behind = behind or int(prefix == 0)
    case = random_case(seed, groups, copies, new, prefix, behind, size)
    with pytest.MonkeyPatch.context() as patch:
        if kernel == "plain":
            patch.setattr(shared_prefix, "_attend", plain)
        found = apart(case, prefix, scale)
    assert torch.allclose(found.double(), textbook(*case, scale), atol=1e-4)


@pytest.mark.parametrize("kernel", ["the processor's", "plain"])
def test_a_row_that_sees_nothing_behind_the_prefix_is_as_if_the_prefix_were_all(
    monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    if kernel == "plain":
        monkeypatch.setattr(shared_prefix, "_attend", plain)
    query, key, value, visible = random_case(0, 2, 3, 4, 30, 9, 8)
    visible[1:3, 30:] = False
    found = apart((query, key, value, visible), 30, 0.3)
    alone = textbook(query[:, :, 1:3], key[:, :, :30], value[:, :, :30], visible[1:3, :30], 0.3)
    assert torch.allclose(found[:, 1:3].double(), alone, atol=1e-5)
    assert torch.allclose(found.double(), textbook(query, key, value, visible, 0.3), atol=1e-5)


def test_in_bfloat16_it_is_attention_to_its_rounding() -> None:
    query, key, value, visible = random_case(1, 2, 7, 8, 300, 40, 64)
    query, key, value = (x.bfloat16() for x in (query, key, value))
    found = apart((query, key, value, visible), 300, 0.125)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.double(), textbook(query, key, value, visible, 0.125), atol=4e-3)


@pytest.mark.parametrize(
    ("visible", "length"),
    [
        (["1111"], 4),
        (["1111", "1110"], 3),
        (["1101", "1110"], 2),
        (["0111", "1111"], 0),
        (["1011", "1111", "1111"], 1),
    ],
)
def test_the_prefix_is_the_leading_slots_that_all_see(visible: list[str], length: int) -> None:
    assert prefix_length(torch.tensor([[c == "1" for c in row] for row in visible])) == length


def test_the_split_is_where_it_pays() -> None:
    few, many, one = (
        torch.cat([torch.ones(m, 1000, dtype=torch.bool), torch.eye(m, dtype=torch.bool)], 1)
        for m in (2, 80, 1)
    )
    assert split_at(few, 14, CPU) == 0
    assert split_at(many, 14, CPU) == 1000
    assert split_at(one, 14, CPU) == 1001  # nothing to mask
    assert split_at(few, 14, torch.device("cuda")) == 0
    wide = torch.ones(64, 1064, dtype=torch.bool).tril(1000)
    assert split_at(wide, 14, torch.device("cuda")) == 1001
    # No kernel of MPS returns what merging needs.
    assert split_at(many, 14, torch.device("mps")) == 0


SIZE = dict(
    vocab_size=97,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=256,
    pad_token_id=None,
)
CONFIGS: dict[str, PretrainedConfig] = {
    **{family: tiny_config(family, 97) for family in FAMILIES},
    "starcoder2, window 64": copy.deepcopy(tiny_config("starcoder2", 97)),
    "qwen2, windows in some layers": Qwen2Config(
        **SIZE, use_sliding_window=True, sliding_window=12, max_window_layers=1
    ),
    "mistral": MistralConfig(**SIZE, sliding_window=64),
    "qwen3": Qwen3Config(**SIZE, head_dim=8),
    "olmo2": Olmo2Config(**SIZE),
}
CONFIGS["starcoder2, window 64"].sliding_window = 64
CASES = [
    (name, decoder)
    for name, config in CONFIGS.items()
    for decoder in (LeanDecoder, PlainDecoder)
    if decoder is PlainDecoder or supports(config)
]
IDS = [(7 * i * i + 3) % 97 for i in range(40)]


class Pair:
    """The same random weights as transformers computes them, eagerly, and as we do."""

    def __init__(self, config: PretrainedConfig, decoder: type[LeanDecoder | PlainDecoder]) -> None:
        torch.manual_seed(0)
        self.eager = AutoModelForCausalLM.from_config(
            copy.deepcopy(config), attn_implementation="eager"
        ).eval()
        with torch.no_grad():
            for name, parameter in self.eager.named_parameters():
                if "norm" not in name:
                    parameter.normal_(std=0.2)
        module = AutoModelForCausalLM.from_config(copy.deepcopy(config)).eval()
        module.load_state_dict(self.eager.state_dict())
        embedding = module.get_input_embeddings()
        self.ours = TransformerModel(module.config, embedding, decoder(module))

    @torch.inference_mode()
    def last(self, ids: list[int]) -> torch.Tensor:
        return self.eager(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1].__name__}", scope="module")
def pair(request: pytest.FixtureRequest) -> Pair:
    name, decoder = request.param
    return Pair(CONFIGS[name], decoder)


@pytest.fixture
def prefixes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Splits wherever it can; the list has the prefix of every call of every layer."""
    taken: list[int] = []

    def recorded(query, key, value, length, *others):
        taken.append(length)
        return shared_prefix.shared_prefix(query, key, value, length, *others)

    monkeypatch.setattr(shared_prefix, "_CPU_PAYS_FROM", 1)
    monkeypatch.setattr(attention, "shared_prefix", recorded)
    yield taken


def prefilled(model: TransformerModel, chunk: int) -> DraftTree:
    """The prompt in chunks, each of which sees the whole cache before it."""
    cache = model.new_cache()
    for start in range(0, len(IDS), chunk):
        ids = torch.tensor(IDS[start : start + chunk])
        positions = torch.arange(start, start + ids.numel())
        model.forward(cache, Feed(None, ids, positions, None))
    return DraftTree(model, cache, Meter())


def test_rows_of_every_architecture_have_the_logits_of_transformers(
    pair: Pair, prefixes: list[int]
) -> None:
    tree = prefilled(pair.ours, 13)
    first = tree.next_slot
    rows, paths = [[1], [2], [3]], [[], [], []]
    for step in range(3):
        del prefixes[:]
        logits = tree.feed(torch.tensor([row[-1] for row in rows]), paths)
        # A layer whose window hides the beginning of the prompt has no prefix, all others this one.
        assert len(IDS) in prefixes or pair.ours._windows == {"": 16}
        for i, row in enumerate(rows):
            assert torch.allclose(logits[i], pair.last(IDS + row), atol=1e-4)
            row.append(10 * step + i)
        paths = [[*path, first + 3 * step + i] for i, path in enumerate(paths)]


def test_a_rescore_pass_of_every_architecture_has_the_logits_of_transformers(
    pair: Pair, prefixes: list[int]
) -> None:
    tree = prefilled(pair.ours, 64)
    first = tree.next_slot
    drafts = [[1, 2, 3, 4, 5], [6, 7], [8, 9, 10, 11]]
    inputs, paths = [], []
    for draft in drafts:
        slots = range(first + len(inputs), first + len(inputs) + len(draft))
        paths += [list(slots[:i]) for i in range(len(draft))]
        inputs += draft
    logits = iter(tree.feed(torch.tensor(inputs), paths))
    for draft in drafts:
        for i in range(len(draft)):
            assert torch.allclose(next(logits), pair.last(IDS + draft[: i + 1]), atol=1e-4)


def test_layers_with_and_without_a_window_split_apart_from_each_other(prefixes: list[int]) -> None:
    pair = Pair(CONFIGS["qwen2, windows in some layers"], PlainDecoder)
    tree = prefilled(pair.ours, 64)
    del prefixes[:]
    tree.feed(torch.tensor([1, 2]), [[], []])
    assert prefixes == [len(IDS), 0, 0]
    short = DraftTree(pair.ours, pair.ours.new_cache(), Meter())
    del prefixes[:]
    short.feed(torch.tensor([1, 2, 3]), [[], [0], [0]])
    assert prefixes == [1, 1, 1]  # the window is not full yet
