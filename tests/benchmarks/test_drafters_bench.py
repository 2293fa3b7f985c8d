from __future__ import annotations

from types import SimpleNamespace

from tiny import tiny_model

from benchmarks.devset import Point
from benchmarks.drafters import judge, slot_bytes
from benchmarks.harness import peak_memory_mb
from polydraft.completion.types import Request
from polydraft.models.native import NativeModel, native_tensors
from polydraft.models.native_support import processor_serves
from polydraft.models.transformer import TransformerModel
from tests.fakes import FakeCompleter


def test_whole_documents_are_judged_in_the_drafts_order() -> None:
    def write(request: Request) -> list[str]:
        return ["wrong", "right"]

    judged: list[str] = []

    def passes(point: Point, document: str) -> bool:
        judged.append(document)
        return "right" in document

    point = Point("p", "a.py", "block", "before\n", "\nbehind", "right")
    engine = SimpleNamespace(drafter=None)
    found = judge(FakeCompleter(write=write), engine, point, "beam", 2, passes=passes)  # type: ignore[arg-type]
    assert judged == ["before\nwrong\nbehind", "before\nright\nbehind"]
    assert found["passed"] == [False, True]
    assert (found["first_exact"], found["exact"]) == (False, True)
    untested = judge(FakeCompleter(write=write), engine, point, "beam", 2)  # type: ignore[arg-type]
    assert untested["passed"] == []


def test_a_slot_takes_the_keys_and_values_of_all_layers() -> None:
    layers, heads, size, parts, float32 = 2, 2, 8, 2, 4
    expected = layers * heads * size * parts * float32
    module = tiny_model("codellama", 200)
    assert slot_bytes(TransformerModel.of(module)) == expected
    if processor_serves():
        embedding = module.get_input_embeddings().weight.detach()
        tensors = native_tensors(module)
        native = NativeModel(module.config, embedding, module.model.rotary_emb, tensors)
        assert slot_bytes(native) >= expected  # it pads small heads


def test_peak_memory_is_in_megabytes() -> None:
    assert 50 < peak_memory_mb() < 100_000  # an interpreter with torch
