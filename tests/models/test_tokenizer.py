"""The tokenizer: exact round trips, and no special token from a user's text."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import FAMILIES, special_tokens, tiny_tokenizer

from polydraft.completion.protocols import Tokenizer
from polydraft.models.errors import ModelError
from polydraft.models.registry import load_registry
from polydraft.models.tokenizer import ModelTokenizer


@cache
def tokenizer(family: str) -> ModelTokenizer:
    return ModelTokenizer(json.loads(tiny_tokenizer(family).to_str()))


def sentencepiece(**changes: Any) -> ModelTokenizer:
    """A SentencePiece-like BPE, as CodeLlama's tokenizer.json has it."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", "a", "b", "<", ">", "/", "s", "</", "s>", "▁a", "ab"]
    added = ["<unk>", "<s>", "</s>", "▁<PRE>"]
    vocab = {piece: i for i, piece in enumerate([*pieces, "▁<PRE>"])}
    merges = ["▁ a", "a b", "< /", "s >", "</ s>"]  # the last one makes a special token
    normalizer = {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ],
    }
    return ModelTokenizer(
        {
            "version": "1.0",
            "added_tokens": [
                {"id": vocab[t], "content": t, "special": True, "normalized": False,
                 "single_word": False, "lstrip": False, "rstrip": False}
                for t in added
            ],
            "normalizer": normalizer,
            "pre_tokenizer": None,
            "post_processor": None,
            "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}]},
            "model": {"type": "BPE", "vocab": vocab, "merges": merges, "unk_token": "<unk>",
                      "byte_fallback": True, "fuse_unk": True},
            **changes,
        }
    )  # fmt: skip


@given(text=st.text())
@settings(max_examples=200, deadline=None)
def test_any_text_round_trips(text: str) -> None:
    subject = tokenizer("starcoder2")
    assert subject.decode(subject.encode(text)) == text
    subject, text = sentencepiece(), text.replace("▁", "_")  # SentencePiece's own sign for a space
    assert subject.decode(subject.encode(text)) == text


TOKENS = sorted(special_tokens(load_registry().families["qwen2.5-coder"]))


@given(parts=st.lists(st.sampled_from([*TOKENS, " ", "\n", "x", "<", "|"])))
@settings(max_examples=200, deadline=None)
def test_text_made_of_special_tokens_yields_none_of_them(parts: list[str]) -> None:
    subject = tokenizer("qwen2.5-coder")
    ids = subject.encode("".join(parts))
    assert not set(ids) & set(subject.specials.values())
    assert subject.decode(ids) == "".join(parts)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_token_of_the_family_is_known_and_out_of_reach(family: str) -> None:
    subject = tokenizer(family)
    protocol: Tokenizer = subject
    for token in special_tokens(load_registry().families[family]):
        index = protocol.special(token)
        assert index not in subject.encode(token)
        assert subject.decode([index]) == token


def test_an_added_token_not_flagged_special_is_out_of_reach_too() -> None:
    description = json.loads(tiny_tokenizer("qwen2.5-coder").to_str())
    for entry in description["added_tokens"]:
        entry["special"] = False
    subject = ModelTokenizer(description)
    assert subject.special("<|fim_middle|>") not in subject.encode("x<|fim_middle|>")


def test_a_special_token_that_merges_would_make_is_out_of_reach() -> None:
    subject = sentencepiece()
    assert subject.special("</s>") not in subject.encode("</s>")
    assert subject.decode(subject.encode("</s>")) == "</s>"


def test_no_space_is_put_before_the_text() -> None:
    subject = sentencepiece()
    assert [subject.token_bytes(i) for i in subject.encode("ab a")] == [b"ab", b" a"]
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    subject = sentencepiece(normalizer=None, pre_tokenizer=metaspace)
    assert [subject.token_bytes(i) for i in subject.encode("ab a")] == [b"ab", b" a"]


def test_text_is_not_normalised() -> None:
    description = json.loads(tiny_tokenizer("qwen2.5-coder").to_str())
    subject = ModelTokenizer(description | {"normalizer": {"type": "NFC"}})
    assert subject.decode(subject.encode("e\u0301")) == "e\u0301"


def test_a_character_cut_off_at_the_end_is_left_out() -> None:
    subject = tokenizer("starcoder2")
    ids = subject.encode("x😀")
    assert [subject.decode(ids[:n]) for n in range(len(ids) + 1)] == ["", "x", "x", "x", "x", "x😀"]


def test_a_character_cut_off_in_the_middle_becomes_a_replacement() -> None:
    subject = tokenizer("starcoder2")
    ids = subject.encode("😀")
    assert subject.decode([*ids[:2], *subject.encode("x")]) == "\ufffdx"


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    subject = tokenizer("starcoder2")
    assert subject.decode(subject.encode("a\ud83dx")) == "a\ufffdx"


def test_the_length_is_one_more_than_the_highest_id() -> None:
    subject = tokenizer("qwen2.5-coder")
    assert len(subject) == max(subject.vocabulary.values()) + 1
    assert subject.token_bytes(len(subject)) == b""


def test_an_unknown_special_token_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        tokenizer("smollm2").special("<|fim_middle|>")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no tokenizer.json"),
        ("{", "cannot be used"),
        ("{}", "cannot be used"),
        ('{"model": {"type": "Unigram"}}', "Unigram, not BPE"),
    ],
)
def test_a_bad_tokenizer_file_is_a_clear_error(
    content: str | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        ModelTokenizer.from_directory(tmp_path)
