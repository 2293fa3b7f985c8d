"""The GPU bench over a tiny model on the CPU: every figure it tells is there."""

from __future__ import annotations

import pytest
from transformers import Qwen2Config

from benchmarks import gpu


def test_every_shape_is_measured_in_the_same_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "PROMPT", 64)
    monkeypatch.setattr(gpu, "LENGTH", 4)
    tiny = Qwen2Config(
        vocab_size=512,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    rows = {row.measure: row for row in gpu.measured("tiny", tiny, "cpu", 2)}
    assert rows["tiny: a step"].unit == "ms"
    for count in gpu.ROWS:
        assert rows[f"tiny: a pass over {count} rows"].value > 0
        assert rows[f"tiny: a pass over {count} tokens"].value > 0
    assert sum(" drafts, " in measure for measure in rows) == len(gpu.METHODS)


def test_the_shapes_are_those_of_the_checkpoints() -> None:
    made = {name: shape() for name, shape in gpu.SHAPES.items()}
    assert made["starcoder2-3b"].num_hidden_layers == 30
    assert made["qwen2.5-coder-7b"].hidden_size == 3584
