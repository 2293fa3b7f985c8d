"""A GGUF file's metadata as a transformers configuration, and its tensor names as transformers'.

Written out for the architectures that polydraft's families use, instead of going through
transformers' GGUF loader: that one needs `accelerate`, holds the model in memory twice, and drops
StarCoder2's rope base and every rope scaling.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from polydraft.models.errors import ConversionError
from polydraft.models.gguf_file import GgufFile

Rows = np.ndarray[Any, np.dtype[np.float32]]

_ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "starcoder2": "Starcoder2ForCausalLM",
}
_STARCODER2_WINDOW = 4096  # not in the metadata; the same for all three sizes
_LEAVES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_STARCODER2_LEAVES = _LEAVES | {"ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"}
_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def config_of(gguf: GgufFile, special_ids: dict[str, int | None]) -> dict[str, Any]:
    """The content of config.json. `ConversionError` for architectures that are not covered."""
    arch = gguf.architecture
    if arch not in _ARCHITECTURES:
        raise ConversionError(
            f"{gguf.path} holds a model of architecture {arch!r}; GGUF files are read for"
            f" {', '.join(_ARCHITECTURES)}. Use the model's safetensors release instead."
        )
    names = {info.name for info in gguf.tensors}
    shapes = {info.name: info.shape for info in gguf.tensors}

    def key(name: str) -> Any:
        if f"{arch}.{name}" not in gguf.metadata:
            raise ConversionError(f"{gguf.path} lacks the metadata key {arch}.{name}.")
        return gguf.metadata[f"{arch}.{name}"]

    heads = key("attention.head_count")
    config: dict[str, Any] = {
        "model_type": arch,
        "architectures": [_ARCHITECTURES[arch]],
        "hidden_size": key("embedding_length"),
        "intermediate_size": key("feed_forward_length"),
        "num_hidden_layers": key("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": gguf.get(f"{arch}.attention.head_count_kv", heads),
        "max_position_embeddings": key("context_length"),
        "rope_parameters": _rope(gguf, names),
        "vocab_size": shapes["token_embd.weight"][0],
        "tie_word_embeddings": "output.weight" not in names,
        "dtype": "bfloat16",
        "use_cache": True,
        **special_ids,
    }
    if arch == "starcoder2":
        config["norm_epsilon"] = key("attention.layer_norm_epsilon")
        config["use_bias"] = "blk.0.attn_q.bias" in names
        config["sliding_window"] = gguf.get(f"{arch}.attention.sliding_window", _STARCODER2_WINDOW)
    else:
        config["rms_norm_eps"] = key("attention.layer_norm_rms_epsilon")
    if arch == "llama":
        config["head_dim"] = shapes["blk.0.attn_q.weight"][0] // heads
        config["attention_bias"] = "blk.0.attn_q.bias" in names
        config["mlp_bias"] = "blk.0.ffn_up.bias" in names
    return config


def _rope(gguf: GgufFile, names: set[str]) -> dict[str, Any]:
    arch = gguf.architecture
    rope: dict[str, Any] = {
        "rope_type": "default",
        "rope_theta": float(gguf.get(f"{arch}.rope.freq_base", 10000.0)),
    }
    kind = gguf.get(f"{arch}.rope.scaling.type", "none")
    factor = gguf.get(f"{arch}.rope.scaling.factor", gguf.get(f"{arch}.rope.scale_linear", 1.0))
    if kind not in ("none", "linear") or "rope_freqs.weight" in names:
        raise ConversionError(
            f"{gguf.path} scales its positions in a way that is not read from GGUF files ({kind})."
            " Use the model's safetensors release instead."
        )
    return rope | {"rope_type": "linear", "factor": float(factor)} if factor != 1.0 else rope


def parameter_name(arch: str, tensor: str) -> str:
    """transformers' name of a GGUF tensor: `blk.3.attn_q.weight` → `model.layers.3.self_attn…`."""
    leaves = _STARCODER2_LEAVES if arch == "starcoder2" else _LEAVES
    if match := re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", tensor):
        layer, leaf, kind = match.groups()
        if leaf in leaves:
            return f"model.layers.{layer}.{leaves[leaf]}.{kind}"
    elif match := re.fullmatch(r"(\w+)\.(weight|bias)", tensor):
        leaf, kind = match.groups()
        if leaf in _TOP:
            return f"{_TOP[leaf]}.{kind}"
    raise ConversionError(f"Unknown tensor {tensor!r} in a GGUF file of architecture {arch!r}.")


def reorder_of(config: dict[str, Any], tensor: str) -> Callable[[Rows], Rows] | None:
    """How the rows of a tensor must be put back in order, or None if they stand as they should.

    Only Llama: its GGUF files interleave the two halves of each rotated head in q and k.
    """
    match = re.search(r"\.attn_([qk])\.", tensor)
    if config["model_type"] != "llama" or match is None:
        return None
    heads = config["num_attention_heads" if match[1] == "q" else "num_key_value_heads"]

    def unpermute(rows: Rows) -> Rows:
        half = rows.shape[0] // heads // 2
        return rows.reshape(heads, half, 2, -1).swapaxes(1, 2).reshape(rows.shape)

    return unpermute
