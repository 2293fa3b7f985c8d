"""A lean forward pass for the usual decoder: what transformers computes, in a third of the calls.

On a CPU a decode step of a small model spends as long in Python and in tiny operations as in its
matrix products. The common architectures (pre-norm, rotary positions, grouped queries, a gated or a
plain MLP) therefore get this pass, with the query, key and value products fused into one and the
MLP's two first ones likewise. All others run through transformers' own code (`plain.py`); tests
hold both to the same logits.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from polydraft.models.attention import grouped
from polydraft.models.kv_cache import KVCache

SUPPORTED = frozenset({"qwen2", "llama", "starcoder2"})


class LeanDecoder(nn.Module):
    """Built from a transformers `…ForCausalLM`, whose weights it takes over."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        config = module.config.get_text_config()
        assert supports(config), config.model_type
        self.rotary = module.model.rotary_emb
        self.layers = nn.ModuleList(_Layer(layer, config) for layer in module.model.layers)
        self.sublayers = 2 * len(self.layers)
        self.norm = _norm(module.model.norm)
        self.head = module.lm_head

    def forward(
        self,
        embeddings: torch.Tensor,  # [M, D]
        positions: torch.Tensor,  # [M]
        masks: dict[str, torch.Tensor],  # see `transformer.TransformerModel`
        cache: KVCache,
        logits_from: int,
        skip: Collection[int] = (),  # sublayers, as in `Feed`
    ) -> torch.Tensor:
        """-> logits [M - logits_from, V]."""
        cos, sin = self.rotary(embeddings, positions[None])  # [1, M, head size]
        half = sin.shape[-1] // 2
        cos, sin = cos[0][:, None], torch.cat([-sin[..., :half], sin[..., half:]], -1)[0][:, None]
        (mask,) = masks.values()
        states = embeddings
        for index, layer in enumerate(self.layers):
            states = layer(states, cos, sin, mask, cache, index, skip)
        logits: torch.Tensor = self.head(self.norm(states[logits_from:]))
        return logits


class _Layer(nn.Module):
    def __init__(self, layer: Any, config: Any) -> None:
        super().__init__()
        attention, mlp = layer.self_attn, layer.mlp
        self.heads: int = config.num_attention_heads
        self.groups: int = config.num_key_value_heads
        self.size: int = attention.head_dim
        self.norm_in = _norm(layer.input_layernorm)
        self.qkv = _fused(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = attention.o_proj
        self.norm_mlp = _norm(layer.post_attention_layernorm)
        self.gated = hasattr(mlp, "gate_proj")
        self.up = _fused(mlp.gate_proj, mlp.up_proj) if self.gated else mlp.c_fc
        self.activation = mlp.act_fn if self.gated else mlp.act
        self.down = mlp.down_proj if self.gated else mlp.c_proj

    def forward(
        self,
        x: torch.Tensor,  # [M, D]
        cos: torch.Tensor,
        sin: torch.Tensor,
        mask: torch.Tensor,
        cache: KVCache,
        index: int,
        skip: Collection[int],
    ) -> torch.Tensor:
        """-> x [M, D] with what the sublayers that are not left out add."""
        if 2 * index not in skip:
            x = self.attend(x, cos, sin, mask, cache, index)
        return x if 2 * index + 1 in skip else self.think(x)

    def attend(
        self,
        x: torch.Tensor,  # [M, D]
        cos: torch.Tensor,  # [M, 1, head size]
        sin: torch.Tensor,  # [M, 1, head size], its first half negated
        mask: torch.Tensor,
        cache: KVCache,
        index: int,
    ) -> torch.Tensor:
        """-> x with the attention's output added."""
        new, heads, size = x.shape[0], self.heads, self.size
        qkv = self.qkv(self.norm_in(x)).view(new, heads + 2 * self.groups, size)
        qk, v = qkv[:, : heads + self.groups], qkv[:, heads + self.groups :]
        qk = qk * cos + qk.roll(size // 2, -1) * sin
        keys, values = cache.update(
            qk[:, heads:].transpose(0, 1)[None], v.transpose(0, 1)[None], index
        )
        seen = grouped(qk[:, :heads].transpose(0, 1)[None], keys, values, mask, size**-0.5)
        result: torch.Tensor = x + self.out(seen.reshape(new, heads * size))
        return result

    def think(self, x: torch.Tensor) -> torch.Tensor:
        """x [M, D] -> x with the MLP's output added."""
        inner = self.up(self.norm_mlp(x))
        if self.gated:
            gate, up = inner.chunk(2, -1)
            inner = self.activation(gate) * up
        else:
            inner = self.activation(inner)
        result: torch.Tensor = x + self.down(inner)
        return result


def supports(config: Any) -> bool:
    """Whether this pass computes what the architecture does, all its layers being alike."""
    kinds = set(getattr(config, "layer_types", None) or ())
    alike = len(kinds) <= 1 and "sliding_attention" not in kinds
    return config.model_type in SUPPORTED and (alike or config.model_type == "starcoder2")


def _norm(norm: Any) -> nn.Module:
    """transformers' RMSNorm as torch's own, which is one operation; a LayerNorm is one already."""
    if isinstance(norm, nn.LayerNorm):
        return norm
    fast = nn.RMSNorm(norm.weight.shape[0], eps=norm.variance_epsilon)
    fast.weight = norm.weight
    return fast


def _fused(*linears: nn.Linear) -> nn.Linear:
    """One layer whose outputs are those of `linears` behind each other."""
    weight = torch.cat([linear.weight.detach() for linear in linears])
    biases = [linear.bias for linear in linears if linear.bias is not None]
    assert len(biases) in (0, len(linears))
    with torch.device("meta"):
        fused = nn.Linear(weight.shape[1], weight.shape[0], bias=bool(biases))
    fused.weight = nn.Parameter(weight, requires_grad=False)
    if biases:
        fused.bias = nn.Parameter(torch.cat([b.detach() for b in biases]), requires_grad=False)
    return fused
