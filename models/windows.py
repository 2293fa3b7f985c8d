"""Sliding windows: how far back the layers of an architecture see."""

from __future__ import annotations

from typing import Any


def windows_of(config: Any) -> dict[str, int | None]:
    """Kind of layer -> sliding window; the kind "" means that all layers are alike."""
    window = getattr(config, "sliding_window", None)
    if config.model_type in {"starcoder2", "mistral"}:
        return {"": window}
    kinds = set(getattr(config, "layer_types", None) or ())
    if not kinds or config.model_type in {"llama", "gemma", "granite"}:
        return {"": None}
    return {kind: window if kind == "sliding_attention" else None for kind in kinds}
