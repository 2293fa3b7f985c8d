"""Which files make a directory that loads as it is."""

from __future__ import annotations

import json
from pathlib import Path


def missing_files(directory: Path) -> list[str]:
    """Names of what a loadable directory lacks: config.json, tokenizer.json, all safetensors."""
    missing = [n for n in ("config.json", "tokenizer.json") if not (directory / n).is_file()]
    if (directory / "model.safetensors").is_file():
        return missing
    index = directory / "model.safetensors.index.json"
    if not index.is_file():
        return [*missing, "model.safetensors"]
    try:
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError):
        return [*missing, index.name]
    return missing + sorted(shard for shard in shards if not (directory / shard).is_file())
