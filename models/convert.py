"""Turns a GGUF file into a directory that transformers loads, once and for all.

One pass over the tensors: dequantise a few rows, round them to bfloat16, append them to
`model.safetensors`. No more than one tensor is held at a time, however large the model.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from polydraft.models import manifest
from polydraft.models.cache_dir import require_space
from polydraft.models.errors import ConversionError
from polydraft.models.gguf_config import Rows, config_of, parameter_name, reorder_of
from polydraft.models.gguf_file import GgufFile, TensorInfo
from polydraft.models.gguf_tokenizer import special_ids_of, tokenizer_of
from polydraft.models.progress import Progress

_LIBRARIES = ("gguf", "numpy", "polydraft", "torch", "transformers")


def convert(
    path: Path, target: Path, *, name: str, source: str, sha256: str, progress: Progress
) -> None:
    """Convert the GGUF file at `path` into the directory `target`, which appears complete or not
    at all; one that is already there is replaced.

    The caller holds the model's lock. Progress is in bytes of bfloat16, stage `convert`.
    """
    gguf = GgufFile(path)
    try:
        total = 2 * sum(info.elements for info in gguf.tensors)
        require_space(target, total + 50_000_000)
        for leftover in target.parent.glob(f".{target.name}.*"):
            shutil.rmtree(leftover, ignore_errors=True)
        work = target.with_name(f".{target.name}.{os.getpid()}")
        work.mkdir(parents=True)
        try:
            _write(gguf, work, total, progress)
            manifest.Manifest(
                format=manifest.FORMAT,
                spec=name,
                source=source,
                source_sha256=sha256,
                dtype="bfloat16",
                tensors=len(gguf.tensors),
                versions={library: version(library) for library in _LIBRARIES},
                files={file.name: _entry(file) for file in sorted(work.iterdir())},
            ).write(work)
            if target.exists():
                shutil.rmtree(target)
            work.replace(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        gguf.close()


def _entry(file: Path) -> manifest.FileEntry:
    return manifest.FileEntry(file.stat().st_size, manifest.sha256_of(file))


def _write(gguf: GgufFile, work: Path, total: int, progress: Progress) -> None:
    config = config_of(gguf, special_ids_of(gguf))
    _check_against_transformers(gguf, config)
    _write_json(work / "tokenizer.json", tokenizer_of(gguf))
    _write_json(work / "config.json", config)
    with (work / "model.safetensors").open("wb") as out:
        out.write(_header(gguf))
        done = 0
        for info in gguf.tensors:
            for rows in _rows(gguf, info, config):
                _write_bfloat16(out, rows)
                done += 2 * rows.size
                progress("convert", done, total)
        out.flush()
        os.fsync(out.fileno())


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _rows(gguf: GgufFile, info: TensorInfo, config: dict[str, Any]) -> Iterator[Rows]:
    reorder = reorder_of(config, info.name)
    if reorder is None:
        yield from gguf.rows(info)
    else:
        yield reorder(np.concatenate(list(gguf.rows(info))))


def _write_bfloat16(out: BinaryIO, rows: Rows) -> None:
    values = torch.from_numpy(np.ascontiguousarray(rows)).to(torch.bfloat16)
    out.write(values.view(torch.int16).numpy().data)


def _header(gguf: GgufFile) -> bytes:
    """The safetensors header: length, then names with shapes and places, padded to 8 bytes."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for info in gguf.tensors:
        end = offset + 2 * info.elements
        entries[parameter_name(gguf.architecture, info.name)] = {
            "dtype": "BF16",
            "shape": list(info.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _check_against_transformers(gguf: GgufFile, config: dict[str, Any]) -> None:
    """The tensors must be exactly those that the transformers model of this config has."""
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    if config["tie_word_embeddings"]:
        wanted.pop("lm_head.weight", None)
    found = {parameter_name(gguf.architecture, info.name): info.shape for info in gguf.tensors}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise ConversionError(
                f"{gguf.path} does not fit its architecture {gguf.architecture!r}: {name} has"
                f" shape {found.get(name, 'none')}, expected {wanted.get(name, 'none')}."
                " Use the model's safetensors release instead."
            )
