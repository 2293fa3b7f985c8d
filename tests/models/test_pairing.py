"""Two models work as a pair only if every id means the same to both; else the first is shown."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import FAMILIES, tiny_tokenizer

from polydraft.models.errors import ModelError, PairError
from polydraft.models.pairing import check_pair, first_difference
from polydraft.models.registry import DEFAULT_LARGE, DEFAULT_SMALL, load_registry
from polydraft.models.store import is_ready
from polydraft.models.tokenizer import ModelTokenizer

NAMES = ("small", "large")
PLAIN = 60  # tokens of the vocabulary below that are no special ones


def described(family: str = "qwen2.5-coder") -> dict[str, Any]:
    description: dict[str, Any] = json.loads(tiny_tokenizer(family).to_str())
    return description


def error(small: dict[str, Any], large: dict[str, Any]) -> PairError:
    with pytest.raises(PairError) as caught:
        check_pair(ModelTokenizer(small), ModelTokenizer(large), NAMES)
    return caught.value


def first_word_id(description: dict[str, Any]) -> int:
    """The id of the first token of several bytes."""
    return min(index for piece, index in description["model"]["vocab"].items() if len(piece) > 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tokenizer_pairs_with_itself(family: str) -> None:
    check_pair(ModelTokenizer(described(family)), ModelTokenizer(described(family)), NAMES)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "qwen2.5-coder"])
def test_families_do_not_pair_though_their_words_are_alike(family: str) -> None:
    found = error(described(), described(family))
    # The tiny tokenizers share all words, so the first special token is where they part.
    assert found.token_id == min(entry["id"] for entry in described()["added_tokens"])


def test_equal_sizes_are_not_equal_tokenizers() -> None:
    small, large = described(), described()
    vocabulary = large["model"]["vocab"]
    one, other = [p for p, index in vocabulary.items() if index in (70, 40)]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    found = error(small, large)
    assert found.token_id == 40
    assert "both have" in str(found)
    by_id = {index: piece for piece, index in small["model"]["vocab"].items()}
    assert f"{by_id[40].encode()!r} in small, {by_id[70].encode()!r} in large" in str(found)


def test_a_special_token_must_be_special_for_both() -> None:
    small, large = described(), described()
    last = large["added_tokens"].pop()
    large["model"]["vocab"][last["content"]] = last["id"]
    found = error(small, large)
    assert found.token_id == last["id"]
    spelling = repr(last["content"].encode())
    assert f"special {spelling} in small, {spelling} in large" in str(found)


def test_a_special_token_that_one_lacks_is_shown() -> None:
    small, large = described(), described()
    last = large["added_tokens"].pop()
    found = error(small, large)
    assert found.token_id == last["id"]
    assert "no token in large" in str(found)


def test_merges_do_not_matter_since_only_the_small_model_cuts_text() -> None:
    small, large = described(), described()
    large["model"]["merges"].reverse()
    check_pair(ModelTokenizer(small), ModelTokenizer(large), NAMES)


def test_spellings_differ_where_pieces_are_written_alike() -> None:
    """`Ġ` is a space in GPT-2's alphabet and a letter to SentencePiece."""
    small, large = described(), described()
    large["decoder"] = {"type": "ByteFallback"}
    found = error(small, large)
    piece = {index: piece for piece, index in small["model"]["vocab"].items()}[found.token_id]
    assert not piece.isascii()


@cache
def _letters() -> str:
    """A tokenizer of PLAIN single letters and three special tokens, as JSON."""
    vocabulary = {chr(ord("A") + index): index for index in range(PLAIN)}
    added = [
        {**json.loads(_ADDED), "id": PLAIN + index, "content": f"<|{index}|>"} for index in range(3)
    ]
    description = described()
    description["model"].update(vocab=vocabulary, merges=[])
    return json.dumps({**description, "added_tokens": added})


_ADDED = (
    '{"single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}'
)


@given(index=st.integers(0, PLAIN + 2), kind=st.sampled_from(["respelt", "lost", "turned"]))
def test_a_single_changed_token_is_found_with_its_id(index: int, kind: str) -> None:
    small = json.loads(_letters())
    large = copy.deepcopy(small)
    vocabulary, added = large["model"]["vocab"], large["added_tokens"]
    if index < PLAIN:
        piece = next(piece for piece, at in vocabulary.items() if at == index)
        del vocabulary[piece]
        entry = {**json.loads(_ADDED), "id": index, "content": piece}
    else:
        entry = added.pop(index - PLAIN)
    match kind, index < PLAIN:
        case "respelt", True:
            vocabulary["new"] = index
        case "respelt", False:
            added.append({**entry, "content": "<|new|>"})
        case "turned", True:
            added.append(entry)
        case "turned", False:
            vocabulary[entry["content"]] = index
    one, other = ModelTokenizer(small), ModelTokenizer(large)
    assert first_difference(one, other) == first_difference(other, one) == index


@given(st.integers(0, PLAIN - 1), st.integers(0, PLAIN - 1))
def test_of_two_swapped_tokens_the_smaller_id_is_reported(one: int, other: int) -> None:
    small = json.loads(_letters())
    large = copy.deepcopy(small)
    for piece, index in small["model"]["vocab"].items():
        large["model"]["vocab"][piece] = {one: other, other: one}.get(index, index)
    found = first_difference(ModelTokenizer(small), ModelTokenizer(large))
    assert found == (None if one == other else min(one, other))


def test_the_message_names_large_models_that_go_with_the_small_one() -> None:
    registry = load_registry()
    tokenizers = [ModelTokenizer(described(f)) for f in ("qwen2.5-coder", "starcoder2")]
    with pytest.raises(ModelError, match=DEFAULT_LARGE):
        check_pair(*tokenizers, (DEFAULT_SMALL, "starcoder2-3b"), registry)
    # The largest of its family has none; then all pairs are named.
    with pytest.raises(ModelError, match="qwen2.5-coder-0.5b with qwen2.5-coder-1.5b or"):
        check_pair(*tokenizers, ("own-model", "starcoder2-3b"), registry)


def test_large_models_are_larger_and_of_the_same_family() -> None:
    registry = load_registry()
    assert registry.larger_siblings(registry.get(DEFAULT_SMALL)) == (
        "qwen2.5-coder-1.5b",
        "qwen2.5-coder-3b",
        "qwen2.5-coder-7b",
        "qwen2.5-coder-14b",
    )
    # Its fill-in-the-middle is broken, so it cannot judge a completion.
    assert "starcoder2-15b" not in registry.larger_siblings(registry.get("starcoder2-3b"))


@pytest.mark.weights
def test_the_default_models_are_a_pair() -> None:
    registry = load_registry()
    directories = [is_ready(registry.get(name)) for name in (DEFAULT_SMALL, DEFAULT_LARGE)]
    if None in directories:
        pytest.skip("the default pair is not in the cache")
    small, large = (ModelTokenizer.from_directory(each) for each in directories if each)
    check_pair(small, large, (DEFAULT_SMALL, DEFAULT_LARGE))
