"""What a model on disk says about itself: its special tokens and a few facts for its spec."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from polydraft.models.errors import UnknownModelError

_GGUF_SPECIAL_TYPES = (3, 4)  # control, user-defined


def is_gguf(path: Path) -> bool:
    """Whether the file starts like a GGUF file, whatever its name."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"GGUF"


def describe_directory(path: Path) -> tuple[frozenset[str], dict[str, Any]]:
    """Special tokens and spec fields of a directory with config.json and tokenizer.json."""
    if not path.is_dir():
        raise UnknownModelError(f"{path} is neither a model directory nor a GGUF file.")
    for name in ("config.json", "tokenizer.json"):
        if not (path / name).is_file():
            raise UnknownModelError(f"{path} is not a model directory: it has no {name}.")
    config = _json(path / "config.json")
    tokenizer = _json(path / "tokenizer.json")
    added = {entry["id"]: entry["content"] for entry in tokenizer.get("added_tokens", [])}
    facts: dict[str, Any] = {
        "name": _slug(path.name),
        "context_length": config.get("max_position_embeddings"),
        "stop_tokens": tuple(
            added[index] for index in _ids(config.get("eos_token_id")) if index in added
        ),
    }
    return frozenset(added.values()), facts


def describe_gguf(path: Path) -> tuple[frozenset[str], dict[str, Any]]:
    """The same of a GGUF file. Its name carries a digest of path, size and time of change, so that
    the conversion of a changed file is not taken for that of the old one."""
    from polydraft.models.gguf_file import GgufFile

    gguf = GgufFile(path)
    tokens: list[str] = gguf.get("tokenizer.ggml.tokens", [])
    types: list[int] = gguf.get("tokenizer.ggml.token_type", [])
    special = frozenset(
        t for t, kind in zip(tokens, types, strict=False) if kind in _GGUF_SPECIAL_TYPES
    )
    eos = gguf.get("tokenizer.ggml.eos_token_id", None)
    stat = path.stat()
    digest = hashlib.sha256(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}".encode()).hexdigest()
    facts: dict[str, Any] = {
        "name": f"gguf-{_slug(path.stem)}-{digest[:12]}",
        "context_length": gguf.get(f"{gguf.architecture}.context_length", None),
        "stop_tokens": (tokens[eos],) if eos is not None else (),
        "bytes": stat.st_size,
    }
    return special, facts


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnknownModelError(f"{path} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise UnknownModelError(f"{path} is not a JSON object.")
    return value


def _ids(value: Any) -> list[int]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._") or "model"
