"""Text to token ids and back, from a `tokenizer.json`, such that user text cannot inject a token.

`tokenizers` has a switch for that (`encode_special_tokens`), but it covers only added tokens that
are flagged special, and real checkpoints carry `<|fim_middle|>` unflagged. So the encoder here is
built without any added token: no file that contains `<|fim_middle|>` can yield its id.

Three more things differ from the stock tokenizer, so that `decode(encode(text)) == text` for every
text and a piece can be continued in the middle of a line: no Unicode normalisation, no space put
before the text, no BOS. (SentencePiece alone cannot tell U+2581 from a space.)
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from polydraft.models.errors import ModelError

_SPACE = "▁"
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_DROPPED = {"NFC", "NFD", "NFKC", "NFKD", "Prepend"}


class ModelTokenizer:
    """Implements `completion.protocols.Tokenizer`."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        """`description` is the parsed content of tokenizer.json."""
        added = {entry["content"]: entry["id"] for entry in description.get("added_tokens", [])}
        self._specials: dict[str, int] = added
        self._vocabulary: dict[str, int] = description["model"]["vocab"] | added
        self._byte_level = '"ByteLevel"' in json.dumps(description.get("decoder"))
        self._size: int = max(self._vocabulary.values()) + 1
        self._pieces: list[str | None] = [None] * self._size
        for piece, index in self._vocabulary.items():
            self._pieces[index] = piece
        self._bytes: dict[int, bytes] = {
            index: content.encode() for content, index in added.items()
        }
        self._plain = tokenizers.Tokenizer.from_str(json.dumps(_without_added(description)))

    @classmethod
    def from_directory(cls, directory: Path) -> ModelTokenizer:
        """The tokenizer of a model directory; `ModelError` if it has none that can be read."""
        path = directory / "tokenizer.json"
        try:
            description = json.loads(path.read_text(encoding="utf-8"))
            if description["model"]["type"] != "BPE":
                raise ValueError(f"a tokenizer of type {description['model']['type']}, not BPE")
            return cls(description)
        except FileNotFoundError:
            raise ModelError(
                f"{directory} has no tokenizer.json; use a model that comes with one."
            ) from None
        except Exception as error:  # tokenizers raises bare Exception on a bad file
            raise ModelError(f"{path} cannot be used: {error}") from error

    def __len__(self) -> int:
        """One more than the highest id; a checkpoint's logits may be padded beyond it."""
        return self._size

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """Piece → id, added tokens included: equal for two models that may work as a pair."""
        return self._vocabulary

    @property
    def specials(self) -> Mapping[str, int]:
        """Added token → id."""
        return self._specials

    @property
    def byte_level(self) -> bool:
        """Whether pieces spell bytes in GPT-2's alphabet, not as SentencePiece does."""
        return self._byte_level

    def piece(self, index: int) -> str | None:
        """How the vocabulary spells a token; None for ids that no token has."""
        return self._pieces[index] if 0 <= index < self._size else None

    def special(self, token: str) -> int:
        """The id of a special token; KeyError if the vocabulary lacks it."""
        return self._specials[token]

    def encode(self, text: str) -> list[int]:
        """Ids of the text, special tokens off. A lone surrogate becomes U+FFFD."""
        try:
            encoding = self._plain.encode(text, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError):
            clean = re.sub("[\ud800-\udfff]", "\ufffd", text)
            encoding = self._plain.encode(clean, add_special_tokens=False)
        ids: list[int] = encoding.ids
        return ids

    def token_bytes(self, index: int) -> bytes:
        """The UTF-8 bytes that a token stands for, perhaps a part of a character; b"" for ids that
        no token has."""
        known = self._bytes.get(index)
        if known is None:
            piece = self.piece(index)
            known = self._bytes[index] = b"" if piece is None else self._spell(piece)
        return known

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids. A character cut off at the end is left out; bytes that are no UTF-8
        elsewhere become U+FFFD."""
        data = b"".join(map(self.token_bytes, ids))
        return codecs.getincrementaldecoder("utf-8")("replace").decode(data, final=False)

    def _spell(self, piece: str) -> bytes:
        if self._byte_level:
            known = all(char in _BYTE_OF for char in piece)
            return bytes(_BYTE_OF[char] for char in piece) if known else piece.encode()
        if match := _BYTE.fullmatch(piece):
            return bytes([int(match[1], 16)])
        return piece.replace(_SPACE, " ").encode()


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's spelling of bytes: printable ones as themselves, the others from U+0100 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + i): byte for i, byte in enumerate(others)
    }


_BYTE_OF = _byte_alphabet()


def _without_added(description: Mapping[str, Any]) -> dict[str, Any]:
    """The same tokenizer with no added token, no post-processor and nothing that alters text."""
    model = dict(description["model"])
    added = {entry["content"] for entry in description.get("added_tokens", [])}
    added.discard(model.get("unk_token"))
    if reachable := added & model["vocab"].keys():
        model["vocab"] = {p: i for p, i in model["vocab"].items() if p not in reachable}
        model["merges"] = [
            merge
            for merge in model["merges"]
            if (merge.replace(" ", "") if isinstance(merge, str) else "".join(merge))
            not in reachable
            and not reachable.intersection(merge.split(" ") if isinstance(merge, str) else merge)
        ]
    return {
        **description,
        "added_tokens": [],
        "post_processor": None,
        "truncation": None,
        "padding": None,
        "normalizer": _verbatim(description.get("normalizer")),
        "pre_tokenizer": _verbatim(description.get("pre_tokenizer")),
        "model": model,
    }


def _verbatim(step: Any) -> Any:
    """A normaliser or pre-tokenizer (perhaps a sequence) without what changes the text."""
    if step is None or step["type"] in _DROPPED:
        return None
    if step["type"] == "Sequence":
        key = "normalizers" if "normalizers" in step else "pretokenizers"
        steps = [kept for part in step[key] if (kept := _verbatim(part)) is not None]
        return {**step, key: steps} if steps else None
    if step["type"] == "ByteLevel":
        return {**step, "add_prefix_space": False}
    if step["type"] == "Metaspace":
        return {**step, "prepend_scheme": "never", "add_prefix_space": False}
    return step
