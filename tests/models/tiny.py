"""Tiny random checkpoints of every family of the registry, laid out as the hub's cache lays them.

snapshot = write_tiny_snapshot("starcoder2", hub_root, "some/name")   # loads as it is
write_tiny_gguf(path)                                                 # a qwen2 GGUF file
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Starcoder2Config,
)

from polydraft.models.registry import load_registry
from polydraft.models.spec import FamilySpec

FAMILIES = (
    "qwen2.5-coder",
    "starcoder2",
    "deepseek-coder",
    "codellama",
    "codegemma",
    "granite-code",
    "smollm2",
)
REVISION = "0123456789abcdef0123456789abcdef01234567"
PADDING = 7  # rows of the vocabulary that no token has, as in Qwen's checkpoints

_CORPUS = (
    """
def read_lines(path, limit=None):
    with open(path, encoding="utf-8") as file:
        return [line.rstrip() for line in file][:limit]

class Counter:
    def __init__(self, items=()):
        self.counts = {}
        for item in items:
            self.counts[item] = self.counts.get(item, 0) + 1

import os, sys, json
for index in range(10):
    if index % 2 == 0 and index != 4:
        print("even", index)
    else:
        raise ValueError(f"odd {index}")
"""
    * 4
)


def tiny_tokenizer(family: str) -> Tokenizer:
    """A byte-level BPE tokenizer of some 380 tokens with the family's special tokens at its end."""
    tokenizer = Tokenizer.from_str(_trained())
    tokenizer.add_special_tokens(sorted(special_tokens(load_registry().families[family])))
    return tokenizer


def special_tokens(family: FamilySpec) -> set[str]:
    bos = {family.bos_token} if family.bos_token else set()
    return set(family.markers) | set(family.stop_tokens) | bos


@cache
def _trained() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([_CORPUS], trainer)
    return tokenizer.to_str()


def tiny_config(family: str, vocab_size: int) -> PretrainedConfig:
    """The family's architecture with its peculiarities, two layers of 32."""
    size: dict[str, Any] = dict(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    match family:
        case "qwen2.5-coder":
            return Qwen2Config(**size, tie_word_embeddings=False)
        case "starcoder2":
            return Starcoder2Config(**size, use_bias=True, sliding_window=16)
        case "codegemma":
            return GemmaConfig(**size, head_dim=16)
        case "granite-code":
            biased = dict(attention_bias=True, mlp_bias=True)
            return LlamaConfig(**size, **biased, tie_word_embeddings=True)
        case "smollm2":
            return LlamaConfig(**size, tie_word_embeddings=True)
        case "deepseek-coder":
            rope = {"rope_type": "linear", "factor": 4.0, "rope_theta": 100000.0}
            return LlamaConfig(**size, rope_parameters=rope)
        case "codellama":
            return LlamaConfig(**size)
    raise ValueError(f"no tiny checkpoint for the family {family!r}")


def tiny_model(family: str, vocab_size: int, seed: int = 0) -> PreTrainedModel:
    """A random model in f32; the parameters are large enough that its logits differ clearly."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(tiny_config(family, vocab_size))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "norm" not in name:
                    parameter.normal_(std=0.2)
    return model.float().eval()


def write_tiny_directory(family: str, directory: Path, seed: int = 0) -> Path:
    """config.json, model.safetensors and tokenizer.json, as a local directory of a model."""
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer(family)
    vocab_size = tokenizer.get_vocab_size() + PADDING
    tiny_model(family, vocab_size, seed).save_pretrained(directory)
    tokenizer.save(str(directory / "tokenizer.json"))
    return directory


def write_tiny_snapshot(family: str, root: Path, hub_id: str, seed: int = 0) -> Path:
    """The same as a snapshot in the hub cache `root` (what HF_HUB_CACHE names); returns it."""
    repository = root / f"models--{hub_id.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text(REVISION)
    return write_tiny_directory(family, repository / "snapshots" / REVISION, seed)


def use_hub_cache(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Offline hub whose cache is `root`, in this process and in those that it starts."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_CACHE", str(root))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(root))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


_GGUF_NAMES = {
    "model.embed_tokens.": "token_embd.",
    "model.norm.": "output_norm.",
    "lm_head.": "output.",
    "model.layers.": "blk.",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
_GGUF_ARCHITECTURES = {"qwen2.5-coder": "qwen2", "starcoder2": "starcoder2"}


def write_tiny_gguf(path: Path, family: str = "qwen2.5-coder", seed: int = 0) -> PreTrainedModel:
    """A GGUF file of a tiny random model, matrices in F16; returns the model it was written from.

    Its values are representable in bfloat16, so that the conversion loses nothing. Padding entries
    of the vocabulary are marked unused, as in Qwen's files.
    """
    arch = _GGUF_ARCHITECTURES.get(family, "llama")
    tokenizer = tiny_tokenizer(family)
    size = tokenizer.get_vocab_size()
    model = tiny_model(family, size + PADDING, seed).to(torch.bfloat16).float()
    config = model.config
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    if config.rope_parameters["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_parameters["factor"])
    if arch == "starcoder2":
        writer.add_layer_norm_eps(config.norm_epsilon)
    else:
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    _add_tokenizer(writer, tokenizer, size)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = tensor.numpy()
        if arch == "llama" and ("q_proj" in name or "k_proj" in name):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            values = _interleave(values, heads)
        for long, short in _GGUF_NAMES.items():
            name = name.replace(long, short)
        writer.add_tensor(name, values.astype(np.float16) if values.ndim == 2 else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def _interleave(values: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """How llama.cpp stores rotated heads: the two halves of each head by turns."""
    half = values.shape[0] // heads // 2
    return values.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(values.shape).copy()


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer, size: int) -> None:
    model = json.loads(tokenizer.to_str())["model"]
    tokens = [tokenizer.id_to_token(i) for i in range(size)]
    types = [1 if token in model["vocab"] else 3 for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens + [f"[PAD{size + i}]" for i in range(PADDING)])
    writer.add_token_types(types + [5] * PADDING)
    writer.add_token_merges([" ".join(merge) for merge in model["merges"]])
    writer.add_eos_token_id(size - 1)
