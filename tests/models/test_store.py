"""From a spec to a loadable directory: sources in order, locks, damage, removal."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import (
    FAMILIES,
    REVISION,
    use_hub_cache,
    write_tiny_directory,
    write_tiny_gguf,
    write_tiny_snapshot,
)
from wheels import pinned_spec, split_into_wheels, use_wheels

from polydraft.models import hub, store
from polydraft.models.cache_dir import cache_root, locked
from polydraft.models.errors import (
    CorruptModelError,
    DiskSpaceError,
    ModelError,
    NoSourceError,
    SourceError,
)
from polydraft.models.progress import silent
from polydraft.models.registry import load_registry
from polydraft.models.spec import ArchiveSource, HubSource, LocalSource, ModelSpec
from polydraft.models.tokenizer import ModelTokenizer


@pytest.fixture(autouse=True)
def hub_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_hub_cache(monkeypatch, tmp_path / "hub")
    return tmp_path / "hub"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_wheels(monkeypatch, tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def archived(index: Path, name: str = "tiny", parts: int = 2) -> ModelSpec:
    """A spec whose only source is a tiny GGUF file cut into wheels."""
    path = index.parent / f"{name}.gguf"
    write_tiny_gguf(path)
    data = path.read_bytes()
    return pinned_spec(name, data, [split_into_wheels(index, data, parts)])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_found_in_the_hubs_cache_offline(
    family: str, hub_root: Path, root: Path
) -> None:
    registry = load_registry()
    known = [s for s in registry if s.family == family and s.sources[0].file is None]  # type: ignore[union-attr]
    spec = known[0]
    source = spec.sources[0]
    assert isinstance(source, HubSource) and store.is_ready(spec, root) is None
    snapshot = write_tiny_snapshot(family, hub_root, source.repo)
    assert store.ensure_model(spec, root) == snapshot == store.is_ready(spec, root)
    tokenizer = ModelTokenizer.from_directory(snapshot)
    text = "def f(x):\n\treturn 'é😀'\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    if spec.fim:
        assert len({tokenizer.special(token) for token in spec.fim.tokens}) == 3
    bare = registry.recognise(registry.spec_for_hub("someone/else"), snapshot)
    assert (bare.family, bare.fim, bare.name) == (family, spec.fim, "someone--else")


def test_a_pinned_revision_is_looked_up_as_such(hub_root: Path, root: Path) -> None:
    snapshot = write_tiny_snapshot("starcoder2", hub_root, "a/b")
    pinned = ModelSpec("m", (HubSource("a/b", REVISION),))
    assert store.is_ready(pinned, root) == snapshot
    assert store.is_ready(ModelSpec("m", (HubSource("a/b", "0" * 40),)), root) is None


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_an_incomplete_snapshot_is_not_ready(name: str, hub_root: Path, root: Path) -> None:
    snapshot = write_tiny_snapshot("starcoder2", hub_root, "a/b")
    (snapshot / name).unlink()
    assert store.is_ready(ModelSpec("m", (HubSource("a/b"),)), root) is None


def test_pickled_weights_are_never_enough(hub_root: Path, root: Path) -> None:
    snapshot = write_tiny_snapshot("starcoder2", hub_root, "a/b")
    (snapshot / "model.safetensors").rename(snapshot / "pytorch_model.bin")
    assert store.is_ready(ModelSpec("m", (HubSource("a/b"),)), root) is None
    assert not any("bin" in pattern for pattern in hub._ALLOWED)


def test_a_local_directory_is_used_in_place(tmp_path: Path, root: Path) -> None:
    directory = write_tiny_directory("codegemma", tmp_path / "m")
    spec = load_registry().spec_for_path(directory)
    assert store.ensure_model(spec, root) == directory
    assert not (root / "models").exists()


def test_a_local_gguf_file_is_converted_once_and_kept(tmp_path: Path, root: Path) -> None:
    write_tiny_gguf(tmp_path / "x.gguf")
    spec = load_registry().spec_for_path(tmp_path / "x.gguf")
    directory = store.ensure_model(spec, root)
    changed = (directory / "model.safetensors").stat().st_mtime_ns
    assert store.ensure_model(spec, root) == directory == store.is_ready(spec, root)
    assert (directory / "model.safetensors").stat().st_mtime_ns == changed
    assert (tmp_path / "x.gguf").is_file()


def test_a_gguf_file_in_the_hubs_cache_is_converted_and_left_there(
    hub_root: Path, root: Path
) -> None:
    snapshot = write_tiny_snapshot("qwen2.5-coder", hub_root, "a/b")
    write_tiny_gguf(snapshot / "x.gguf")
    spec = ModelSpec("m", (HubSource("a/b", file="x.gguf"),))
    assert store.ensure_model(spec, root) == root / "models" / "m"
    assert (snapshot / "x.gguf").is_file()


def test_an_archive_is_downloaded_converted_and_cleaned_up(index: Path, root: Path) -> None:
    spec = archived(index)
    stages: list[str] = []
    directory = store.ensure_model(spec, root, lambda stage, *_: stages.append(stage))
    assert directory == root / "models" / "tiny"
    assert list(dict.fromkeys(stages)) == ["download", "verify", "convert"]
    assert not (root / "downloads" / "tiny").exists()
    assert len(ModelTokenizer.from_directory(directory)) > 256


def test_the_sources_are_tried_in_order_and_the_error_lists_each(
    index: Path, tmp_path: Path, root: Path
) -> None:
    wrong = archived(index)
    sources = (
        LocalSource(tmp_path / "none"),
        HubSource("a/b", file="x.gguf"),
        ArchiveSource("none", "1.0", "m"),
        *wrong.sources,
    )
    spec = replace(wrong, sources=sources, sha256="0" * 64)
    with pytest.raises(NoSourceError) as error:
        store.ensure_model(spec, root)
    assert [source for source, _ in error.value.failures] == [str(s) for s in sources]
    text = str(error.value)
    for words in (
        "does not exist",
        "HF_HUB_OFFLINE forbids",
        "No matching distribution",
        "instead of",
        "polydraft models pull tiny",
    ):
        assert words in text
    spec = replace(wrong, sources=sources)
    assert store.ensure_model(spec, root) == root / "models" / "tiny"


def test_an_unreachable_hub_is_given_up_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # the discard port
    calls: list[object] = []
    monkeypatch.setattr(hub, "_download", lambda *args: calls.append(args))
    with pytest.raises(SourceError, match="127.0.0.1:9 cannot be reached"):
        hub.fetch(HubSource("a/b"), None, tmp_path, silent)
    assert calls == []


def test_a_damaged_model_names_its_directory_and_the_way_out(index: Path, root: Path) -> None:
    spec = archived(index)
    directory = store.ensure_model(spec, root)
    with (directory / "model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(CorruptModelError) as error:
        store.ensure_model(spec, root)
    assert str(directory) in str(error.value)
    assert "polydraft models pull tiny --force" in str(error.value)
    assert store.ensure_model(spec, root, force=True) == directory
    assert store.is_ready(spec, root) == directory


@pytest.mark.parametrize("name", ["manifest.json", "config.json", "tokenizer.json"])
def test_a_missing_file_is_noticed_at_a_warm_load(name: str, index: Path, root: Path) -> None:
    spec = archived(index)
    (store.ensure_model(spec, root) / name).unlink()
    with pytest.raises(CorruptModelError, match=f"{name} is missing"):
        store.is_ready(spec, root)


def test_verify_finds_a_change_that_keeps_the_size(index: Path, root: Path) -> None:
    spec = archived(index)
    path = store.ensure_model(spec, root) / "model.safetensors"
    assert store.verify(spec, root) == path.parent
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert store.is_ready(spec, root) == path.parent
    with pytest.raises(CorruptModelError, match=r"model\.safetensors does not match its hash"):
        store.verify(spec, root)


def test_verify_without_a_converted_model_says_so(root: Path) -> None:
    with pytest.raises(ModelError, match="polydraft models pull m"):
        store.verify(ModelSpec("m", (HubSource("a/b"),)), root)


def test_remove_frees_the_files_and_leaves_the_hubs_cache(hub_root: Path, root: Path) -> None:
    snapshot = write_tiny_snapshot("qwen2.5-coder", hub_root, "a/b")
    write_tiny_gguf(snapshot / "x.gguf")
    spec = ModelSpec("m", (HubSource("a/b", file="x.gguf"),))
    store.ensure_model(spec, root)
    assert store.remove(spec, root) > 10_000
    assert store.is_ready(spec, root) is None and (snapshot / "x.gguf").is_file()
    assert store.remove(spec, root) == 0


def test_too_little_space_is_noticed_before_anything_is_fetched(
    index: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = archived(index)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 9}))
    with pytest.raises(DiskSpaceError):
        store.ensure_model(spec, root)
    assert not (root / "downloads").exists()


def test_the_cache_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("POLYDRAFT_CACHE", str(tmp_path / "here"))
    assert cache_root() == tmp_path / "here"


def test_of_two_processes_one_downloads_and_the_other_waits_for_it(index: Path, root: Path) -> None:
    spec = archived(index)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    waiting = context.Event()

    with locked(root, "tiny"):  # stands for the first process, in the middle of its work
        other = context.Process(target=_pull_told, args=(spec, root, queue, waiting))
        other.start()
        assert waiting.wait(120)
        source = write_like_a_finished_pull(spec, root)
    stages = queue.get(timeout=120)
    other.join(120)
    assert other.exitcode == 0
    assert stages == ("wait",)
    assert store.is_ready(spec, root) == source


def write_like_a_finished_pull(spec: ModelSpec, root: Path) -> Path:
    elsewhere = store.ensure_model(spec, root.parent / "elsewhere")
    shutil.copytree(elsewhere, root / "models" / spec.name)
    return root / "models" / spec.name


def _pull_told(spec, root, queue, waiting):  # type: ignore[no-untyped-def]
    stages: list[str] = []

    def progress(stage: str, done: int, total: int) -> None:
        stages.append(stage)
        if stage == "wait":
            waiting.set()

    store.ensure_model(spec, root, progress)
    queue.put(tuple(dict.fromkeys(stages)))


def test_the_lock_of_a_killed_process_is_free(root: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from polydraft.models.cache_dir import locked\n"
        "with locked(Path(sys.argv[1]), 'm'):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    process.kill()
    process.communicate()
    with locked(root, "m"):
        pass
