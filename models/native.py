"""A transformers decoder on the native forward pass (`native_forward.py`): polydraft's `Model`."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from polydraft.completion.protocols import Cache, Feed
from polydraft.models.native_cache import NativeCache
from polydraft.models.native_forward import Linear, Norm, Weights, forward
from polydraft.models.native_support import LANES, OUTPUTS, PIECE, shape_of, supports
from polydraft.models.threads import available, limit_torch
from polydraft.models.windows import windows_of

# One pass at a time: a model that is being loaded tries itself while another one decodes, two would
# take the threads from each other, and numba's own pool, the last resort, bears no second caller.
_ONE_PASS = threading.Lock()

Tensors = Mapping[str, torch.Tensor]  # as `native_weights` names them
Parameters = Mapping[str, torch.Tensor]  # as transformers names them; may be read when asked for
Linears = Sequence[tuple[torch.Tensor, torch.Tensor | None]]  # weight [n, K], bias [n]


class NativeModel:
    """Weights int8, inputs int16, one compiled call a pass. Belongs to one thread at a time."""

    prefill_chunk = 64  # a pass takes as long as its tokens do, so small ones lose nothing

    def __init__(
        self,
        config: Any,  # transformers' configuration
        embedding: torch.Tensor,  # [V, D], any float format
        rotary: torch.nn.Module,  # transformers' own rotary embedding
        tensors: Tensors,
        vocab_size: int | None = None,
        max_slots: int | None = None,
        threads: int | None = None,
    ) -> None:
        config = config.get_text_config()
        assert supports(config), config.model_type
        self.device = torch.device("cpu")
        self.vocab_size = min(vocab_size or config.vocab_size, config.vocab_size)
        self.max_positions: int = config.max_position_embeddings
        self.threads = threads or available()
        self._max_slots = max_slots or self.max_positions
        self._embedding = embedding
        self._rotary = rotary
        self._weights, self._held = _weights(tensors), tensors
        self._layers: int = config.num_hidden_layers
        self._shape = shape_of(config)
        (self._window,) = windows_of(config).values()

    @property
    def sublayers(self) -> int:
        """How many there are to choose from for `Feed.skip`."""
        return 2 * self._layers

    def new_cache(self) -> NativeCache:
        shape = self._shape
        return NativeCache(self._layers, shape.groups, shape.size, self._max_slots)

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """ids [...] -> input embeddings [..., D]."""
        return self._embedding[ids].float()

    @torch.inference_mode()
    def forward(self, cache: Cache, feed: Feed) -> torch.Tensor:
        """Append M slots to the cache; returns logits [M - logits_from, V] in float32."""
        assert isinstance(cache, NativeCache)
        limit_torch(1)
        embeddings = feed.embeddings
        if embeddings is None:
            assert feed.ids is not None
            embeddings = self.embed(feed.ids)
        new, length = feed.positions.numel(), cache.length
        assert embeddings.shape[0] == new
        visible = feed.visible
        if visible is None:
            visible = torch.ones(new, length + new, dtype=torch.bool).tril_(length)
        assert visible.shape == (new, length + new)
        if self._window is not None:
            slots = torch.cat([cache.positions, feed.positions])
            visible = visible & (feed.positions[:, None] - slots[None] < self._window)
        cos, sin = self._rotary(embeddings.float(), feed.positions[None])
        logits = torch.empty(new - feed.logits_from, self._weights.head.scale.shape[1])
        keys, values = cache.with_room(new)
        with _ONE_PASS:
            forward(
                embeddings.float().clone().numpy(),
                cos[0].float().contiguous().numpy(),
                sin[0].float().contiguous().numpy(),
                visible.contiguous().numpy(),
                keys,
                values,
                self._weights,
                self._shape,
                computed(self._layers, feed.skip),
                logits.numpy(),
                self.threads,
            )
        cache.advance(feed.positions)
        return logits[:, : self.vocab_size]


def native_tensors(module: Any) -> dict[str, torch.Tensor]:
    """A transformers `…ForCausalLM` -> its weights as `native_weights` makes them."""
    return native_weights(dict(module.named_parameters(remove_duplicate=False)))


def native_weights(parameters: Parameters) -> dict[str, torch.Tensor]:
    """Weights by transformers' names -> rounded and stacked, for `NativeModel`.

    Names: {qkv,out,up,down,head}.{levels,scale,bias}, int8 [layers, N / 4, K / 16, 4, 16] and
    float32 [layers, N]; {norm_in,norm_mlp,norm}.{weight,bias}, float32 [layers, D]. Each parameter
    is asked for once, and let go when it is rounded.
    """
    count = sum(name.endswith(".input_layernorm.weight") for name in parameters)
    layers = [f"model.layers.{i}" for i in range(count)]
    gated = f"{layers[0]}.mlp.gate_proj.weight" in parameters
    linears = {
        "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "out": ("self_attn.o_proj",),
        "up": ("mlp.gate_proj", "mlp.up_proj") if gated else ("mlp.c_fc",),
        "down": ("mlp.down_proj",) if gated else ("mlp.c_proj",),
    }
    stacks = {
        k: [[f"{at}.{part}" for part in parts] for at in layers] for k, parts in linears.items()
    }
    norms = {
        "norm_in": [f"{at}.input_layernorm" for at in layers],
        "norm_mlp": [f"{at}.post_attention_layernorm" for at in layers],
        "norm": ["model.norm"],
    }
    made: dict[str, torch.Tensor] = {}
    with torch.inference_mode():
        for name, stack in {**stacks, "head": [["lm_head"]]}.items():
            for part, tensor in zip(
                ("levels", "scale", "bias"), _stacked(stack, parameters), strict=True
            ):
                made[f"{name}.{part}"] = tensor
        for name, held in norms.items():
            weights = [parameters[f"{each}.weight"].float() for each in held]
            biases = [parameters.get(f"{each}.bias") for each in held]
            made[f"{name}.weight"] = torch.stack(weights)
            made[f"{name}.bias"] = torch.stack(
                [_or_zeros(bias, len(weights[0])) for bias in biases]
            )
    return made


def rounded(linears: Linears) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Layers behind each other: levels [N / 4, K / 16, 4, 16] int8, scale [N], bias [N].

    N is padded with zeros to whole blocks.
    """
    made = _room_for(linears)
    _round_into(made, linears)
    return made


def _stacked(
    stack: Sequence[Sequence[str]],  # for each layer, the linear layers to put behind each other
    parameters: Parameters,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`rounded` of each layer, stacked: in place, so that no layer is there twice."""
    made: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
    for i, names in enumerate(stack):
        linears = [(parameters[f"{n}.weight"], parameters.get(f"{n}.bias")) for n in names]
        made = made or _room_for(linears, len(stack))
        _round_into((made[0][i], made[1][i], made[2][i]), linears)
    assert made is not None
    return made


def _room_for(linears: Linears, *layers: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    outputs, inputs = sum(len(weight) for weight, _ in linears), linears[0][0].shape[1]
    blocks = -(-outputs // OUTPUTS)
    return (
        torch.empty(*layers, blocks, inputs // LANES, OUTPUTS, LANES, dtype=torch.int8),
        torch.empty(*layers, blocks * OUTPUTS),
        torch.empty(*layers, blocks * OUTPUTS),
    )


def _round_into(made: tuple[torch.Tensor, torch.Tensor, torch.Tensor], linears: Linears) -> None:
    """Write the `rounded` layers, a piece of their rows at a time."""
    levels, scales, biases = made
    bias = torch.cat([_or_zeros(bias, len(weight)) for weight, bias in linears])
    biases.copy_(torch.nn.functional.pad(bias, (0, len(biases) - len(bias))))
    step = max(1, PIECE // levels[0].numel()) * OUTPUTS
    for start in range(0, len(scales), step):
        stop = min(start + step, len(scales))
        rows = _rows([weight for weight, _ in linears], start, stop)
        weight = torch.nn.functional.pad(rows, (0, 0, 0, stop - start - len(rows)))
        scale = scales[start:stop] = weight.abs().amax(1).clamp_min(1e-12) / 127
        weight.div_(scale[:, None]).round_().clamp_(-127, 127)
        blocks = weight.to(torch.int8).view(-1, OUTPUTS, levels.shape[1], LANES).transpose(1, 2)
        levels[start // OUTPUTS : stop // OUTPUTS] = blocks


def _rows(weights: Sequence[torch.Tensor], start: int, stop: int) -> torch.Tensor:
    """Rows of all weights [n, K] behind each other, in float32: [at most stop - start, K]."""
    found, at = [], 0
    for weight in weights:
        found.append(weight[max(0, start - at) : max(0, stop - at)].float())
        at += len(weight)
    return torch.cat(found)


def computed(layers: int, skip: Collection[int]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Sublayers to leave out, as in `Feed` -> [layers, 2] bool: which run."""
    runs = np.ones(2 * layers, np.bool_)
    runs[list(skip)] = False
    return runs.reshape(layers, 2)


def _or_zeros(bias: torch.Tensor | None, size: int) -> torch.Tensor:
    return torch.zeros(size) if bias is None else bias.float()


def _weights(tensors: Tensors) -> Weights:
    def array(name: str) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = tensors[name].detach().numpy()
        return found

    def linear(name: str) -> Linear:
        return Linear(array(f"{name}.levels"), array(f"{name}.scale"), array(f"{name}.bias"))

    def norm(name: str) -> Norm:
        return Norm(array(f"{name}.weight"), array(f"{name}.bias"))

    return Weights(
        norm("norm_in"), linear("qkv"), linear("out"), norm("norm_mlp"), linear("up"),
        linear("down"), norm("norm"), linear("head"),
    )  # fmt: skip
