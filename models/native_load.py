"""Loads a `NativeModel`: weights rounded once, kept in the cache, and mapped from there ever after.

    <cache>/prepared/KEY.safetensors    the tensors that `native.native_weights` names

A mapped file is shared by all processes that use it and costs no time to load. The weights are
rounded one by one as they are read, so even the first load takes little more than the result.
numba and its compiled code are imported here and nowhere else, so other formats never pay for them.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from polydraft.completion.protocols import Feed
from polydraft.models.checkpoint import read_config, read_embedding, read_parameters
from polydraft.models.native import NativeModel, native_weights
from polydraft.models.prepared import NATIVE_LAYOUT, prepared_path, save

logger = logging.getLogger(__name__)


def native_model(directory: Path, vocab_size: int, cache_dir: Path) -> NativeModel:
    """Load `directory`. Raises `ModelError` if its files do not serve."""
    config = read_config(directory).get_text_config()
    embedding = read_embedding(directory)
    tensors = _kept(path := prepared_path(directory, cache_dir, NATIVE_LAYOUT))
    if tensors is None:
        tensors = native_weights(read_parameters(directory))
        save(tensors, path)
        tensors = _kept(path) or tensors  # mapped from here on
    # The three architectures share Llama's rotary embedding; transformers' classes are copies.
    rotary = LlamaRotaryEmbedding(config)
    model = NativeModel(config, embedding, rotary, tensors, vocab_size=vocab_size)
    _warm_up(model)
    return model


def _warm_up(model: NativeModel) -> None:
    """One pass: compiles (once; numba keeps the code on disk) and reads the weights."""
    token = torch.zeros(1, dtype=torch.long)
    model.forward(model.new_cache(), Feed(None, token, token, None))


def _kept(path: Path) -> dict[str, torch.Tensor] | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        logger.warning("%s is damaged (%s); it is made anew", path, error)
        return None
