"""Every family of the registry decodes: from the hub's cache to drafts with exact scores.

The checkpoints are tiny and random, but of each family's architecture, tokens and prompt format,
and they come the way real ones do: hub snapshot, `ensure_model`, `load_model`, `EngineCompleter`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import (
    FAMILIES,
    PADDING,
    special_tokens,
    use_hub_cache,
    write_tiny_directory,
    write_tiny_snapshot,
)
from transformers import AutoModelForCausalLM

from polydraft.completion.completer import EngineCompleter
from polydraft.completion.engine import Engine
from polydraft.completion.healing import Vocabulary, hold_back
from polydraft.completion.prompt import Prompt, build_prompt
from polydraft.completion.protocols import Feed
from polydraft.completion.types import Budget, Completion, Request
from polydraft.models.costs import available_formats
from polydraft.models.errors import ModelError
from polydraft.models.load import LoadedModel, load_model
from polydraft.models.registry import load_registry
from polydraft.models.spec import HubSource, ModelSpec
from polydraft.models.store import ensure_model

PREFIX = '''"""Counting."""

class Counter:
    def __init__(self, items=()):
        self.counts = {}
        for item in items:
            '''
TYPED = "self.cou"
SUFFIX = "\n\nfor index in range(10):\n    print(index)\n"
# What the tiny models' 256 positions allow for k = 3, so that the completer leaves it as it is.
BUDGET = Budget(prompt_tokens=128, new_tokens=12)


def at(typed: str = TYPED, **changed: Any) -> Request:
    """The place after `typed`, with the anchor before it."""
    standard: dict[str, Any] = dict(
        prefix=PREFIX + typed,
        suffix=SUFFIX,
        path="counting.py",
        language="python",
        anchor=len(PREFIX),
        multiline=True,
        budget=BUDGET,
    )
    return Request(**(standard | changed))


@dataclass(frozen=True)
class Checkpoint:
    """A tiny checkpoint as `ensure_model` delivered it."""

    spec: ModelSpec
    directory: Path
    cache: Path

    def load(self, weights: str = "f32") -> LoadedModel:
        return load_model(
            self.spec, self.directory, device="cpu", weights=weights, cache_dir=self.cache
        )

    @cached_property
    def exact(self) -> LoadedModel:
        return self.load()

    @cached_property
    def plain(self) -> Any:
        return plain_model(self.directory)

    def prompt(self, request: Request) -> Prompt:
        return build_prompt(request, self.exact.tokenizer, self.exact.prompt_format)

    def given(self, request: Request) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
        """The prompt that the model sees, and the first tokens allowed behind it."""
        tokenizer = self.exact.tokenizer
        prompt, _, allowed = hold_back(self.prompt(request), tokenizer, Vocabulary(tokenizer))
        return prompt.ids, allowed

    def true_logprobs(self, request: Request, draft: Sequence[int]) -> list[float]:
        """By transformers' own forward pass over the whole text, nothing cached."""
        prompt, allowed = self.given(request)
        return true_logprobs(self.plain, prompt, draft, len(self.exact.tokenizer), allowed)


def plain_model(directory: Path, **config: Any) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager", **config
    ).eval()


@torch.inference_mode()
def true_logprobs(
    plain: Any,
    prompt: Sequence[int],
    draft: Sequence[int],
    vocabulary: int,
    allowed: Sequence[int] | None = None,
) -> list[float]:
    ids = torch.tensor([[*prompt, *draft]])
    logits = plain(input_ids=ids, use_cache=False).logits[0, :, :vocabulary]
    if allowed is not None:
        others = sorted(set(range(vocabulary)) - set(allowed))
        logits[len(prompt) - 1, others] = -torch.inf
    logprobs = torch.log_softmax(logits, -1)
    return [float(logprobs[len(prompt) - 1 + i, token]) for i, token in enumerate(draft)]


def hub_model(family: str) -> tuple[ModelSpec, str]:
    """The family's first model that the hub has as safetensors, and its hub id."""
    for spec in load_registry():
        for source in spec.sources:
            if spec.family == family and isinstance(source, HubSource) and source.file is None:
                return spec, source.repo
    raise AssertionError(f"no model of {family} comes from the hub as safetensors")


@pytest.fixture(scope="module", params=FAMILIES)
def checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkpoint]:
    root = tmp_path_factory.mktemp(request.param)
    spec, repo = hub_model(request.param)
    # With this seed every family's random model writes something that the text filters let pass.
    snapshot = write_tiny_snapshot(request.param, root / "hub", repo, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        use_hub_cache(patch, root / "hub")
        directory = ensure_model(spec, root / "cache")
    assert directory == snapshot
    yield Checkpoint(spec, directory, root / "cache")


def completer(loaded: LoadedModel) -> EngineCompleter:
    return EngineCompleter(Engine(loaded.model), loaded.tokenizer, loaded.prompt_format)


def complete(loaded: LoadedModel, request: Request) -> Completion:
    completion = completer(loaded).complete(request)
    assert completion.drafts
    return completion


def test_every_family_of_the_registry_is_tested_here() -> None:
    assert set(FAMILIES) == set(load_registry().families)


def test_drafts_have_the_scores_of_transformers_own_forward_pass(checkpoint: Checkpoint) -> None:
    request = at()
    completion = complete(checkpoint.exact, request)
    assert completion.stats.prompt_tokens == len(checkpoint.given(request)[0])
    assert len({draft.text for draft in completion.drafts}) == len(completion.drafts) >= 2
    for draft in completion.drafts:
        expected = checkpoint.true_logprobs(request, draft.token_ids)
        assert draft.token_logprobs == pytest.approx(expected, abs=1e-4)
        assert draft.mean_logprob == pytest.approx(sum(expected) / len(expected), abs=1e-4)


def test_the_prompt_has_the_form_of_the_family(checkpoint: Checkpoint) -> None:
    fmt = checkpoint.exact.prompt_format
    ids = checkpoint.prompt(at())
    special = set(checkpoint.exact.tokenizer.specials.values())
    found = [token for token in ids.ids if token in special]
    wanted = (fmt.bos, fmt.prefix, fmt.suffix, fmt.middle)
    assert found == [token for token in wanted if token is not None]
    assert fmt.has_fim == (checkpoint.spec.family != "smollm2")
    # The anchor stands in an indentation, which goes behind the middle token as well.
    assert checkpoint.exact.tokenizer.decode(ids.ids[ids.middle_at :]) == " " * 12 + TYPED


def test_every_special_token_of_the_family_ends_a_draft(checkpoint: Checkpoint) -> None:
    loaded = checkpoint.exact
    family = load_registry().families[checkpoint.spec.family]
    special = {loaded.tokenizer.special(token) for token in special_tokens(family)}
    assert special == loaded.prompt_format.stops
    for draft in complete(loaded, at()).drafts:
        assert special.isdisjoint(draft.token_ids)


def test_special_tokens_in_the_users_text_stay_text(checkpoint: Checkpoint) -> None:
    loaded = checkpoint.exact
    special = set(loaded.tokenizer.specials.values())

    def structure(request: Request) -> list[int]:
        return [token for token in checkpoint.prompt(request).ids if token in special]

    for name in special_tokens(load_registry().families[checkpoint.spec.family]):
        hostile = at(f'self.name = "{name}', suffix=f'"\nother = "{name}"\n')
        assert structure(hostile) == structure(at())
        written_out = loaded.tokenizer.encode(name)
        assert special.isdisjoint(written_out) and loaded.tokenizer.decode(written_out) == name


def test_one_more_character_recomputes_the_changed_tail_only(checkpoint: Checkpoint) -> None:
    engine = completer(checkpoint.exact)
    first = engine.complete(at())
    assert first.stats.recomputed_tokens == first.stats.prompt_tokens > 30
    more = at(TYPED + "n")
    second = engine.complete(more)
    assert second.stats.recomputed_tokens <= 4
    assert second.drafts
    for draft in second.drafts:
        expected = checkpoint.true_logprobs(more, draft.token_ids)
        assert draft.token_logprobs == pytest.approx(expected, abs=1e-4)


def test_padding_rows_of_the_vocabulary_never_reach_the_engine(checkpoint: Checkpoint) -> None:
    model = checkpoint.exact.model
    assert checkpoint.plain.config.vocab_size == len(checkpoint.exact.tokenizer) + PADDING
    logits = model.forward(
        model.new_cache(), Feed(None, torch.tensor([1, 2]), torch.arange(2), None)
    )
    assert logits.shape == (2, model.vocab_size) == (2, len(checkpoint.exact.tokenizer))


@pytest.mark.skipif("int8" not in available_formats(), reason="no int8 kernel on this processor")
def test_int8_weights_score_nearly_the_same(checkpoint: Checkpoint) -> None:
    request = at()
    rounded = complete(checkpoint.load("int8"), request)
    for draft in rounded.drafts:
        exact = checkpoint.true_logprobs(request, draft.token_ids)
        assert draft.token_logprobs == pytest.approx(exact, abs=0.5)
        assert draft.mean_logprob == pytest.approx(sum(exact) / len(exact), abs=0.15)


def test_starcoder2_sees_no_further_than_its_window_and_uses_its_biases(tmp_path: Path) -> None:
    directory = write_tiny_directory("starcoder2", tmp_path / "model")
    spec, _ = hub_model("starcoder2")
    loaded = load_model(spec, directory, device="cpu", weights="f32", cache_dir=tmp_path)
    request = at(anchor=len(PREFIX + TYPED))  # nothing typed since, so nothing is held back
    prompt = build_prompt(request, loaded.tokenizer, loaded.prompt_format).ids
    ids = complete(loaded, request).drafts[0].token_ids
    plain = plain_model(directory)
    assert plain.config.sliding_window < len(prompt)
    truth = true_logprobs(plain, prompt, ids, len(loaded.tokenizer))
    # The comparison of scores above would notice if either were left out.
    unlimited = plain_model(directory, sliding_window=None)
    assert true_logprobs(unlimited, prompt, ids, len(loaded.tokenizer)) != pytest.approx(
        truth, abs=1e-2
    )
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    assert true_logprobs(plain, prompt, ids, len(loaded.tokenizer)) != pytest.approx(
        truth, abs=1e-2
    )


def test_a_model_with_broken_fim_is_given_the_prefix_alone(tmp_path: Path) -> None:
    spec = load_registry().get("starcoder2-15b")
    directory = write_tiny_directory("starcoder2", tmp_path / "model")
    loaded = load_model(spec, directory, device="cpu", weights="f32", cache_dir=tmp_path)
    assert not loaded.prompt_format.has_fim
    prompt = build_prompt(at(), loaded.tokenizer, loaded.prompt_format)
    assert loaded.tokenizer.decode(prompt.ids) == PREFIX + TYPED


@pytest.mark.parametrize(
    ("how", "advice"),
    [
        ({"device": "cuda:99"}, "Set device to 'auto' or 'cpu'"),
        ({"device": "abacus"}, "Set device to 'auto' or 'cpu'"),
        ({"device": "cpu", "weights": "int3"}, "must be 'auto' or one of w8a16, int4w, int8"),
    ],
)
def test_a_device_or_format_that_is_not_there_is_an_error_with_advice(
    tmp_path: Path, how: dict[str, str], advice: str
) -> None:
    spec, _ = hub_model("smollm2")
    directory = write_tiny_directory("smollm2", tmp_path / "model")
    with pytest.raises(ModelError, match=advice):
        load_model(spec, directory, cache_dir=tmp_path, **how)


@pytest.mark.parametrize("damage", ["cut weights", "no weights", "cut config", "cut tokenizer"])
def test_damaged_files_are_an_error_with_advice(tmp_path: Path, damage: str) -> None:
    spec, _ = hub_model("qwen2.5-coder")
    directory = write_tiny_directory("qwen2.5-coder", tmp_path / "model")
    kind, what = damage.split()
    name = {"weights": "model.safetensors", "config": "config.json"}.get(what, "tokenizer.json")
    whole = (directory / name).read_bytes()
    (directory / name).write_bytes(whole[: len(whole) // 2])
    if kind == "no":
        (directory / name).unlink()
    with pytest.raises(ModelError) as raised:
        load_model(spec, directory, device="cpu", weights="f32", cache_dir=tmp_path)
    assert str(directory) in str(raised.value)
    if what != "tokenizer":
        assert "polydraft models pull" in str(raised.value)
