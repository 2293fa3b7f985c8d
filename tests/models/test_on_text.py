"""What a completer lets its caller overhear while it drafts, on a tiny model of random weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import write_tiny_directory

from polydraft.completion.completer import EngineCompleter
from polydraft.completion.drafters import DRAFTERS, LEADERLESS
from polydraft.completion.engine import Engine
from polydraft.completion.types import Budget, Cancelled, CancelToken, Draft, Request
from polydraft.models.load import LoadedModel, load_model
from polydraft.models.registry import load_registry

REQUEST = Request(
    "def area(radius):\n    return ", "\n\n", "a.py", "python", k=3, budget=Budget(64, 12)
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("tiny")
    directory = write_tiny_directory("qwen2.5-coder", folder / "model", seed=1)
    spec = load_registry().get("qwen2.5-coder-0.5b")
    return load_model(spec, directory, device="cpu", weights="f32", cache_dir=folder / "cache")


def completer(loaded: LoadedModel) -> EngineCompleter:
    return EngineCompleter(Engine(loaded.model), loaded.tokenizer, loaded.prompt_format)


def test_the_likeliest_drafts_text_is_told_as_it_grows(loaded: LoadedModel) -> None:
    heard: list[str] = []
    drafts = completer(loaded).complete(REQUEST, on_text=heard.append).drafts
    assert drafts == completer(loaded).complete(REQUEST).drafts
    assert len(heard) > 2
    texts = [text for text in heard if text]
    assert any(draft.text.startswith(texts[0]) for draft in drafts)
    assert all(b.startswith(a) for a, b in zip(texts, texts[1:], strict=False))


@pytest.mark.parametrize("method", DRAFTERS)
def test_the_draft_that_is_told_before_the_others_is_in_the_answer(
    loaded: LoadedModel, method: str
) -> None:
    told: list[Draft] = []
    request = replace(REQUEST, drafter=method)
    drafts = completer(loaded).complete(request, on_draft=told.append).drafts
    if method in LEADERLESS:
        assert len(told) == 1
    else:
        assert told == [drafts[0]]


def test_a_cancel_tells_how_many_passes_had_run(loaded: LoadedModel) -> None:
    cancel = CancelToken()
    heard: list[str] = []

    def on_text(text: str) -> None:
        heard.append(text)
        if len(heard) == 3:
            cancel.cancel()

    with pytest.raises(Cancelled) as caught:
        completer(loaded).complete(REQUEST, cancel=cancel, on_text=on_text)
    assert caught.value.passes == 3  # the prompt's and one for each further token
