"""GGUF to safetensors: the converted model is the one that the file was written from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, quantize
from tiny import FAMILIES, PADDING, tiny_tokenizer, write_tiny_gguf
from transformers import AutoModelForCausalLM

from polydraft.models import manifest
from polydraft.models.convert import convert
from polydraft.models.errors import ConversionError
from polydraft.models.gguf_file import GgufFile
from polydraft.models.progress import silent
from polydraft.models.tokenizer import ModelTokenizer

IDS = torch.arange(40)[None] % 97
GEMMA = "codegemma"  # its GGUF architecture is not covered


def converted(path: Path, target: Path) -> Path:
    convert(path, target, name="tiny", source="test", sha256="0" * 64, progress=silent)
    return target


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != GEMMA])
def test_the_converted_model_gives_the_originals_logits(family: str, tmp_path: Path) -> None:
    original = write_tiny_gguf(tmp_path / "x.gguf", family)
    original.config.sliding_window = None  # longer than the text in a converted StarCoder2
    directory = converted(tmp_path / "x.gguf", tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    with torch.no_grad():
        logits = model(IDS[:, :16]).logits
        wanted = original(IDS[:, :16]).logits
    # F16 keeps some of the original's digits and drops others: close, not equal.
    torch.testing.assert_close(logits, wanted, atol=2e-2, rtol=2e-2)
    assert logits.std() > 0.1


def test_separate_output_weights_stay_separate(tmp_path: Path) -> None:
    original = write_tiny_gguf(tmp_path / "x.gguf")
    directory = converted(tmp_path / "x.gguf", tmp_path / "out")
    assert json.loads((directory / "config.json").read_text())["tie_word_embeddings"] is False
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    torch.testing.assert_close(model.lm_head.weight, original.lm_head.weight, atol=1e-3, rtol=1e-2)
    assert not torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)


def test_the_tokenizer_is_the_same_without_the_padding(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "x.gguf")
    directory = converted(tmp_path / "x.gguf", tmp_path / "out")
    original = ModelTokenizer(json.loads(tiny_tokenizer("qwen2.5-coder").to_str()))
    subject = ModelTokenizer.from_directory(directory)
    text = "def f(x):\n    return x + 1  # <|fim_middle|> 😀\n"
    assert subject.encode(text) == original.encode(text)
    assert subject.vocabulary == original.vocabulary
    assert subject.specials == original.specials
    assert len(GgufFile(tmp_path / "x.gguf").metadata["tokenizer.ggml.tokens"]) == (
        len(subject) + PADDING
    )


def test_the_manifest_tells_where_the_files_came_from(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "x.gguf")
    directory = converted(tmp_path / "x.gguf", tmp_path / "out")
    told = manifest.verify("tiny", directory)
    assert (told.format, told.spec, told.source, told.dtype) == (1, "tiny", "test", "bfloat16")
    assert set(told.files) == {"config.json", "model.safetensors", "tokenizer.json"}
    assert {"torch", "transformers", "gguf"} <= set(told.versions)


def test_progress_is_reported_for_every_tensor_and_ends_at_the_total(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "x.gguf")
    seen: list[tuple[str, int, int]] = []
    convert(
        tmp_path / "x.gguf",
        tmp_path / "out",
        name="tiny",
        source="test",
        sha256="",
        progress=lambda *at: seen.append(at),
    )
    assert len(seen) == len(GgufFile(tmp_path / "x.gguf").tensors)
    assert [stage for stage, *_ in seen] == ["convert"] * len(seen)
    assert seen[-1][1] == seen[-1][2] and seen == sorted(seen)


def test_an_interrupted_conversion_leaves_nothing_behind(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "x.gguf")

    def progress(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(
            tmp_path / "x.gguf",
            tmp_path / "out",
            name="tiny",
            source="test",
            sha256="",
            progress=progress,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["x.gguf"]


def test_an_unknown_architecture_is_refused_with_a_way_out(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "x.gguf", "mamba")
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ConversionError, match="'mamba'.*safetensors release"):
        converted(tmp_path / "x.gguf", tmp_path / "out")


@pytest.mark.parametrize("keep", [0.0, 0.2, 0.9])
def test_a_cut_off_file_is_an_error_not_a_model(keep: float, tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "x.gguf")
    data = (tmp_path / "x.gguf").read_bytes()
    (tmp_path / "y.gguf").write_bytes(data[: int(len(data) * keep) + 4])
    with pytest.raises(ConversionError, match=r"damaged|cut off"):
        converted(tmp_path / "y.gguf", tmp_path / "out")


def test_every_quantisation_of_the_real_files_reads_as_with_the_gguf_package(
    tmp_path: Path,
) -> None:
    values = np.random.default_rng(0).normal(size=(6, 512)).astype(np.float32)
    kinds = [GGMLQuantizationType[k] for k in ("F32", "F16", "Q8_0", "Q5_0", "Q4_1")]
    writer = GGUFWriter(tmp_path / "x.gguf", "qwen2")
    for kind in kinds:
        writer.add_tensor(f"{kind.name}.weight", quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    from gguf import dequantize

    reference = {tensor.name: tensor for tensor in GGUFReader(tmp_path / "x.gguf").tensors}
    subject = GgufFile(tmp_path / "x.gguf")
    assert [info.type for info in subject.tensors] == kinds
    for info in subject.tensors:
        wanted = dequantize(reference[info.name].data, info.type)
        assert np.array_equal(np.concatenate(list(subject.rows(info))), wanted)
        assert np.abs(wanted - values).max() < 0.5
