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
from polydraft.models.native_support import LANES, OUTPUTS, shape_of, supports
from polydraft.models.threads import available, limit_torch
from polydraft.models.windows import windows_of

# One pass at a time: a model that is being loaded tries itself while another one decodes, two would
# take the threads from each other, and numba's own pool, the last resort, bears no second caller.
_ONE_PASS = threading.Lock()

Tensors = Mapping[str, torch.Tensor]  # as `native_tensors` names them


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
    """A transformers `…ForCausalLM` -> its weights, rounded and stacked, for `NativeModel`.

    Names: {qkv,out,up,down,head}.{levels,scale,bias}, int8 [layers, N / 4, K / 16, 4, 16] and
    float32 [layers, N]; {norm_in,norm_mlp,norm}.{weight,bias}, float32 [layers, D].
    """
    layers = list(module.model.layers)
    parts: dict[str, list[Sequence[Any]]] = {
        "qkv": [[a.q_proj, a.k_proj, a.v_proj] for a in (layer.self_attn for layer in layers)],
        "out": [[layer.self_attn.o_proj] for layer in layers],
        "up": [
            [m.gate_proj, m.up_proj] if hasattr(m, "gate_proj") else [m.c_fc]
            for m in (layer.mlp for layer in layers)
        ],
        "down": [[getattr(layer.mlp, "down_proj", None) or layer.mlp.c_proj] for layer in layers],
        "head": [[module.lm_head]],
    }
    made: dict[str, torch.Tensor] = {}
    with torch.inference_mode():
        for name, stack in parts.items():
            pairs = [[(part.weight, part.bias) for part in linears] for linears in stack]
            kinds = zip(*(rounded(linears) for linears in pairs), strict=True)
            for part, tensors in zip(("levels", "scale", "bias"), kinds, strict=True):
                made[f"{name}.{part}"] = torch.stack(tensors)
        norms = {
            "norm_in": [layer.input_layernorm for layer in layers],
            "norm_mlp": [layer.post_attention_layernorm for layer in layers],
            "norm": [module.model.norm],
        }
        for name, held in norms.items():
            made[f"{name}.weight"] = torch.stack([norm.weight.float() for norm in held])
            made[f"{name}.bias"] = torch.stack(
                [_or_zeros(getattr(norm, "bias", None), norm.weight) for norm in held]
            )
    return made


def rounded(
    linears: Sequence[tuple[torch.Tensor, torch.Tensor | None]],  # weight [n, K], bias [n]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Layers behind each other: levels [N / 4, K / 16, 4, 16] int8, scale [N], bias [N].

    N is padded with zeros to whole blocks.
    """
    weight = torch.cat([weight.float() for weight, _ in linears])
    bias = torch.cat([_or_zeros(bias, weight[:, 0]) for weight, bias in linears])
    padding = -weight.shape[0] % OUTPUTS
    weight = torch.nn.functional.pad(weight, (0, 0, 0, padding))
    scale = weight.abs().amax(1).clamp_min(1e-12) / 127
    levels = (weight / scale[:, None]).round_().clamp_(-127, 127).to(torch.int8)
    blocks = levels.view(len(levels) // OUTPUTS, OUTPUTS, -1, LANES).transpose(1, 2).contiguous()
    return blocks, scale, torch.nn.functional.pad(bias, (0, padding))


def computed(layers: int, skip: Collection[int]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Sublayers to leave out, as in `Feed` -> [layers, 2] bool: which run."""
    runs = np.ones(2 * layers, np.bool_)
    runs[list(skip)] = False
    return runs.reshape(layers, 2)


def _or_zeros(bias: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
    return torch.zeros(like.shape, dtype=torch.float32) if bias is None else bias.float()


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
