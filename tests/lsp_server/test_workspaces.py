"""Several workspace folders in one server: each has its own settings, models and n-grams."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
from lsprotocol import types

from polydraft.lsp_server import workspace_ngrams
from polydraft.lsp_server.server import create_server
from polydraft.lsp_server.settings import ModelSettings
from tests.fakes import FakeCompleter, FakeProvider
from tests.lsp_server.harness import Editor, connected, editing, serving, shared

TRUSTED: dict[str, object] = {"trusted": True}


def naming(name: str) -> FakeCompleter:
    """A model that writes its name."""
    return FakeCompleter(write=lambda request: [f"{name}{index}" for index in range(request.k)])


def models(*names: str) -> FakeProvider:
    return FakeProvider(naming("default"), others={name: naming(name) for name in names})


def folder(root: Path, settings: str = "") -> Path:
    root.mkdir()
    (root / "polydraft.toml").write_text(settings)
    return root


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return folder(tmp_path / "one", 'model = "s1"\nlarge = "l1"\nk = 1\n')


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return folder(tmp_path / "two", 'model = "s2"\nlarge = "l2"\nk = 2\n')


async def drafts_in(root: Path, editor: Editor, name: str = "a.py") -> list[str]:
    """What a file of a folder, opened anew, is completed with."""
    uri = (root / name).as_uri()
    editor.open("x = ", uri=uri)
    texts = await editor.inline(0, 4, uri=uri)
    editor.close(uri=uri)
    return texts


async def test_each_folder_is_answered_by_its_own_models_under_its_own_settings(
    one: Path, two: Path
) -> None:
    provider = models("s1", "l1", "s2", "l2")
    async with editing(provider, folders=[one, two], options=TRUSTED, ready=False) as editor:
        await editor.until_paired(one, two)
        assert await drafts_in(one, editor) == ["l10"]
        assert await drafts_in(two, editor) == ["l20", "l21"]
        assert [len(provider.others[name].requests) for name in ("s1", "l1", "s2", "l2")] == [1] * 4
    assert {model.name for model in provider.loads} == {"s1", "l1", "s2", "l2"}


async def test_statuses_say_which_folder_they_are_about(one: Path, two: Path) -> None:
    provider = models("s1", "l1", "s2")
    provider.errors_of["l2"] = [OSError("No such model.")]
    async with editing(provider, folders=[one, two], options=TRUSTED, ready=False) as editor:
        await editor.until_paired(one)
        await editor.until(lambda: editor.status_of(two)["largeState"] == "error")
        assert editor.status_of(one) == {
            "state": "ready",
            "message": "s1 and l1 are ready.",
            "model": "s1",
            "progress": None,
            "root": one.as_uri(),
            "large": "l1",
            "largeState": "ready",
            "largeMessage": "",
        }
        assert editor.status_of(two)["model"] == "s2"
        assert editor.status_of(two)["message"] == "s2 is ready, without l2: No such model."


async def test_folders_that_name_the_same_models_share_them(tmp_path: Path, one: Path) -> None:
    same = folder(tmp_path / "same", 'model = "s1"\nlarge = "l1"\npolicy = "ead"\n')
    provider = models("s1", "l1")
    async with editing(provider, folders=[one, same], options=TRUSTED, ready=False) as editor:
        await editor.until_paired(one, same)
        assert sorted(model.name for model in provider.loads) == ["l1", "s1"]
        assert {pair.switching.policy for pair in provider.pairs} == {"bild", "ead"}


async def test_the_innermost_folder_counts_and_outside_of_all_the_first(
    tmp_path: Path, one: Path
) -> None:
    inner = folder(one / "inner", 'model = "s2"\nk = 2\n')
    provider = models("s1", "l1", "s2")
    async with editing(provider, folders=[one, inner], options=TRUSTED, ready=False) as editor:
        await editor.until_paired(one)
        await editor.until(lambda: editor.status_of(inner)["state"] == "ready")
        assert await drafts_in(inner, editor) == ["s20", "s21"]
        assert await drafts_in(one, editor) == ["l10"]
        assert await drafts_in(tmp_path, editor) == ["l10"]
        editor.open("x = ", uri="untitled:1")
        assert await editor.inline(0, 4, uri="untitled:1") == ["l10"]


async def test_without_folders_the_defaults_hold() -> None:
    async with editing(models(), text="x = ") as editor:
        assert await editor.inline(0, 4) == ["default0", "default1", "default2"]
        assert editor.statuses[-1]["root"] is None


async def test_a_folder_that_is_added_gets_models_of_its_own_and_one_that_goes_loses_them(
    one: Path, two: Path
) -> None:
    provider = models("s1", "l1", "s2", "l2")
    async with editing(provider, folders=[one], options=TRUSTED, ready=False) as editor:
        await editor.until_paired(one)
        assert await drafts_in(two, editor) == ["l10"]
        editor.change_folders(added=[two])
        await editor.until_paired(two)
        assert await drafts_in(two, editor) == ["l20", "l21"]
        editor.change_folders(removed=[one])
        assert await drafts_in(two, editor, "b.py") == ["l20", "l21"]
        assert await drafts_in(one, editor, "b.py") == ["l20", "l21"]
        assert len(provider.loads) == 4


async def test_when_the_last_folder_goes_the_defaults_hold(one: Path) -> None:
    provider = models("s1", "l1")
    async with editing(provider, root=one, folders=[one], options=TRUSTED, ready=False) as editor:
        await editor.until_paired(one)
        editor.change_folders(removed=[one])
        await editor.until(lambda: editor.statuses[-1]["root"] is None)
        await editor.until_ready()
        assert len(await drafts_in(one, editor)) == 3


async def test_the_models_of_a_folder_that_is_gone_are_released(one: Path, two: Path) -> None:
    provider = models("s1", "l1", "s2", "l2")
    rung: list[object] = []
    async with shared(provider) as services:
        services.pool._timer = lambda seconds, call: rung.append(call) or (lambda: None)  # type: ignore[func-returns-value]
        async with (
            serving(make_server=partial(create_server, services)) as port,
            connected(port) as editor,
        ):
            await editor.initialize(folders=[one, two], options=TRUSTED)
            await editor.until_paired(one, two)
            editor.change_folders(removed=[two])
            await editor.inline(0, 0)  # a round trip
            assert len(rung) == 2
            for call in rung:
                call()  # type: ignore[operator]
            assert {model.name for model in services.pool._entries} == {"s1", "l1"}


async def test_a_request_that_runs_when_its_settings_change_is_finished_by_the_old_models(
    one: Path,
) -> None:
    provider = models("s1", "l1", "s2", "l2")
    async with editing(provider, folders=[one], options=TRUSTED, ready=False) as editor:
        await editor.until_paired(one)
        uri = (one / "a.py").as_uri()
        provider.others["l1"].gate.clear()
        editor.open("x = ", uri=uri)
        older = asyncio.ensure_future(editor.inline(0, 4, uri=uri))
        await asyncio.to_thread(provider.others["l1"].wait_for, lambda fake: fake.requests)
        (one / "polydraft.toml").write_text('model = "s2"\nlarge = "l2"\nk = 2\n')
        await editor.client.protocol.send_request_async("polydraft/reload", None)
        await editor.until(lambda: editor.status_of(one)["large"] == "l2")
        await editor.until_paired(one)
        provider.others["l1"].gate.set()
        assert await older == ["l10"]
        assert await editor.inline(0, 4, uri=uri) == ["l20", "l21"]


async def test_a_change_of_the_policy_alone_loads_nothing_and_joins_anew(one: Path) -> None:
    provider = models("s1", "l1")
    async with editing(provider, folders=[one], options=TRUSTED, ready=False) as editor:
        await editor.until_paired(one)
        (one / "polydraft.toml").write_text(
            'model = "s1"\nlarge = "l1"\npolicy = "ead"\n[thresholds]\nstay = 2\n'
        )
        await editor.client.protocol.send_request_async("polydraft/reload", None)
        await editor.until(lambda: len(provider.pairs) == 2)
        await editor.until_paired(one)
        assert provider.pairs[1].switching.policy == "ead"
        assert provider.pairs[1].switching.thresholds == (("stay", 2),)
        assert len(provider.loads) == 2


async def test_the_editors_settings_are_asked_for_folder_by_folder(one: Path, two: Path) -> None:
    provider = models("s1", "l1", "s2", "l2", "mine")
    async with editing(
        provider,
        folders=[one],
        options=TRUSTED,
        ready=False,
        configuration=True,
        settings_of={one.as_uri(): {"k": 3}, two.as_uri(): {"model": "mine", "large": "none"}},
    ) as editor:
        await editor.until_paired(one)
        assert len(await drafts_in(one, editor)) == 3
        editor.change_folders(added=[two])
        await editor.until(lambda: editor.status_of(two)["state"] == "ready")
        assert await drafts_in(two, editor) == ["mine0", "mine1"]
        assert {model.name for model in provider.loads} == {"s1", "l1", "mine"}
        editor.settings_of[two.as_uri()] = {"k": 1, "model": "mine", "large": "none"}
        editor.client.workspace_did_change_configuration(
            types.DidChangeConfigurationParams(settings=None)
        )
        await drafts_in(one, editor)  # a round trip: the question is answered
        assert await drafts_in(two, editor, "b.py") == ["mine0"]


async def test_settings_that_are_pushed_hold_in_all_folders_and_in_later_ones(
    one: Path, two: Path
) -> None:
    provider = models("s1", "l1", "s2", "l2")
    async with editing(provider, folders=[one], options=TRUSTED, ready=False) as editor:
        await editor.until_paired(one)
        editor.client.workspace_did_change_configuration(
            types.DidChangeConfigurationParams(settings={"polydraft": {"k": 4}})
        )
        editor.change_folders(added=[two])
        await editor.until_paired(two)
        assert len(await drafts_in(one, editor)) == 4
        assert len(await drafts_in(two, editor)) == 4


async def test_a_problem_names_its_folder_and_one_that_folders_share_is_told_once(
    tmp_path: Path,
) -> None:
    roots = [folder(tmp_path / name, f"{name} = 1\n") for name in ("aa", "bb")]
    options = {"kk": 3}
    async with editing(models(), folders=roots, options=options, ready=False) as editor:
        await editor.until(lambda: len(editor.shown) == 3)
        await editor.inline(0, 0)
        shared, *own = editor.shown
        assert 'initializationOptions: unknown setting "kk"' in shared
        assert [message.split(".toml")[0] for message in own] == [
            "polydraft: aa/polydraft",
            "polydraft: bb/polydraft",
        ]


@pytest.mark.parametrize("trusted", [False, True])
async def test_an_untrusted_workspace_cannot_have_a_large_model_fetched(
    tmp_path: Path, trusted: bool
) -> None:
    here = folder(tmp_path / "here", 'large = "known"\n')
    absent = folder(tmp_path / "absent", 'large = "evil"\nlarge_device = "cuda"\n')
    provider = models("known", "evil")
    provider.ready = {"known"}
    options = {"trusted": trusted}
    async with editing(provider, folders=[here, absent], options=options, ready=False) as editor:
        await editor.until_paired(here)
        await editor.until(lambda: editor.status_of(absent)["state"] == "ready")
        if trusted:
            await editor.until_paired(absent)
            assert ModelSettings("evil", "cuda") in provider.loads
            assert editor.shown == []
        else:
            assert "evil" not in {model.name for model in provider.loads}
            (message,) = editor.shown
            assert '"large" and "large_device" ignored' in message and "not trusted" in message


async def test_each_folders_index_is_in_the_ids_of_its_own_small_model(
    one: Path, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_ngrams, "PAUSE", 0.01)
    provider = models("s1", "l1", "s2", "l2")
    async with editing(provider, folders=[one, two], options=TRUSTED, ready=False) as editor:
        await editor.until_paired(one, two)
        for root, name in ((one, "s1"), (two, "s2")):
            uri = (root / "a.py").as_uri()
            editor.open(f"wombat_{name} = ", uri=uri)
            model = provider.others[name]
            await asyncio.to_thread(model.wait_for, lambda fake: fake.encoded)
            assert model.encoded == [f"wombat_{name} = "]
            await editor.inline(0, 12, uri=uri)
            index = model.workspaces[-1]
            assert index is not None and set(index) == {"a.py"}
        assert provider.others["l1"].encoded == provider.others["l2"].encoded == []
