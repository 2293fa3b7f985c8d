"""A GGUF file's vocabulary as a `tokenizer.json`.

Byte-level BPE (`gpt2`) with the way of splitting text that `tokenizer.ggml.pre` names, and
SentencePiece BPE (`llama`), whose merges are told from the pieces' scores.
"""

from __future__ import annotations

from typing import Any

from polydraft.models.errors import ConversionError
from polydraft.models.gguf_file import GgufFile

_CONTROL, _USER_DEFINED, _UNUSED = 3, 4, 5

_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN2.replace(r"\p{N}| ?", r"\p{N}{1,3}| ?")


def _split(pattern: str) -> dict[str, Any]:
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }


def _byte_level(use_regex: bool) -> dict[str, Any]:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": use_regex,
    }


_DIGITS = {"type": "Digits", "individual_digits": True}
_DEEPSEEK = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+"]
_ONE_DIGIT = [_DIGITS, _byte_level(True)]
_SPLITS: dict[str, list[dict[str, Any]]] = {
    "gpt-2": [_byte_level(True)],
    "default": [_byte_level(True)],
    "qwen2": [_split(_QWEN2), _byte_level(False)],
    "llama-bpe": [_split(_LLAMA3), _byte_level(False)],
    "starcoder": _ONE_DIGIT,
    "refact": _ONE_DIGIT,
    "smollm": _ONE_DIGIT,
    "codeshell": _ONE_DIGIT,
    "command-r": _ONE_DIGIT,
    "deepseek-coder": [*map(_split, _DEEPSEEK), _DIGITS, _byte_level(False)],
}


def tokenizer_of(gguf: GgufFile) -> dict[str, Any]:
    """The content of tokenizer.json; padding entries of the vocabulary are left out."""
    tokens: list[str] = gguf.get("tokenizer.ggml.tokens", [])
    if not tokens:
        raise ConversionError(f"{gguf.path} has no vocabulary.")
    kinds: list[int] = gguf.get("tokenizer.ggml.token_type", [1] * len(tokens))
    vocab = {
        token: i
        for i, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind != _UNUSED
    }
    kind_of_model = gguf.get("tokenizer.ggml.model", "")
    if kind_of_model == "gpt2":
        model, outer = _byte_level_bpe(gguf, vocab)
    elif kind_of_model == "llama":
        model, outer = _sentencepiece_bpe(gguf, vocab)
    else:
        raise ConversionError(
            f"{gguf.path} has a tokenizer of kind {kind_of_model!r}, which is not read from GGUF"
            " files. Use the model's safetensors release instead."
        )
    added = [
        {
            "id": i,
            "content": tokens[i],
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": kinds[i] == _CONTROL,
        }
        for i in range(len(tokens))
        if kinds[i] in (_CONTROL, _USER_DEFINED)
    ]
    base = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added}
    return base | outer | {"post_processor": None, "model": model}


def special_ids_of(gguf: GgufFile) -> dict[str, int | None]:
    """The ids that config.json names."""
    return {
        "bos_token_id": gguf.get("tokenizer.ggml.bos_token_id", None),
        "eos_token_id": gguf.get("tokenizer.ggml.eos_token_id", None),
        "pad_token_id": gguf.get("tokenizer.ggml.padding_token_id", None),
    }


def _byte_level_bpe(gguf: GgufFile, vocab: dict[str, int]) -> tuple[dict[str, Any], dict[str, Any]]:
    pre = gguf.get("tokenizer.ggml.pre", "default")
    if pre not in _SPLITS:
        raise ConversionError(
            f"{gguf.path} splits text in the way {pre!r}, which is not known here"
            f" (known: {', '.join(_SPLITS)}). Use the model's safetensors release instead."
        )
    merges = [merge.split(" ", 1) for merge in gguf.get("tokenizer.ggml.merges", [])]
    outer = {
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": _SPLITS[pre]},
        "decoder": _byte_level(True),
    }
    return _bpe(vocab, merges, ignore_merges=pre == "llama-bpe"), outer


def _sentencepiece_bpe(
    gguf: GgufFile, vocab: dict[str, int]
) -> tuple[dict[str, Any], dict[str, Any]]:
    scores: list[float] = gguf.get("tokenizer.ggml.scores", [])
    kinds: list[int] = gguf.get("tokenizer.ggml.token_type", [])
    merges = []
    for piece, i in vocab.items():
        if kinds[i] != 1:  # only ordinary pieces are made by merging
            continue
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in vocab and right in vocab:
                merges.append((-scores[i], vocab[left], vocab[right], [left, right]))
    merges.sort(key=lambda merge: merge[:3])
    space = "▁"
    normalizers = [{"type": "Replace", "pattern": {"String": " "}, "content": space}]
    if gguf.get("tokenizer.ggml.add_space_prefix", True):
        normalizers.insert(0, {"type": "Prepend", "prepend": space})
    outer = {
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": space}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
    }
    unknown = gguf.get("tokenizer.ggml.unknown_token_id", 0)
    unk = next(piece for piece, i in vocab.items() if i == unknown)
    model = _bpe(vocab, [merge[3] for merge in merges], unk_token=unk, byte_fallback=True)
    return model | {"fuse_unk": True}, outer


def _bpe(
    vocab: dict[str, int],
    merges: list[list[str]],
    *,
    unk_token: str | None = None,
    byte_fallback: bool = False,
    ignore_merges: bool = False,
) -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": unk_token,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": byte_fallback,
        "ignore_merges": ignore_merges,
        "vocab": vocab,
        "merges": merges,
    }
