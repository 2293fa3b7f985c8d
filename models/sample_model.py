"""A small model of random weights in any weight format, run by the code that runs a real one.

It is an eighth of Qwen2.5-Coder-0.5B, 3 of 24 layers and as much of the vocabulary: 62 million
weights, more than most caches hold. The narrow one has as many layers and heads, and next to no
weights: what it takes, the other one takes beside its products.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from polydraft.completion.protocols import Model
from polydraft.models.costs import NATIVE
from polydraft.models.quantize import pack_linear, replace_linears
from polydraft.models.transformer import TransformerModel, decoder_of

PART = 8  # of the real model
_LAYERS = 24 // PART


def sample_module(narrow: bool = False) -> Any:
    """The weights, in float32. Layers are copies of one: drawing numbers takes longest."""
    config = Qwen2Config(
        hidden_size=64 if narrow else 896,
        intermediate_size=64 if narrow else 4864,
        num_attention_heads=14,
        num_key_value_heads=2,
        head_dim=64,
        num_hidden_layers=1,
        vocab_size=64 if narrow else 151_936 // PART,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    )
    module = Qwen2ForCausalLM(config).eval()
    module.model.layers.extend(copy.deepcopy(module.model.layers[0]) for _ in range(_LAYERS - 1))
    config.num_hidden_layers = _LAYERS
    config.layer_types = config.layer_types * _LAYERS
    return module


@torch.inference_mode()
def sample_model(module: Any, weights: str, threads: int) -> Model:
    """The `sample_module` with its weights in that format."""
    embedding = module.get_input_embeddings()
    if weights == NATIVE:
        from polydraft.models.native import NativeModel, native_tensors  # compiles

        tensors, rotary = native_tensors(module), module.model.rotary_emb
        return NativeModel(module.config, embedding.weight, rotary, tensors, threads=threads)
    decoder = decoder_of(module)
    replace_linears(decoder, lambda _, linear: pack_linear(linear, weights))
    return TransformerModel(module.config, embedding, decoder, threads=threads)
