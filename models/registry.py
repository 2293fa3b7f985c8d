"""The registry of known models: `registry.toml` with the user's own `models.toml` laid over it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from polydraft.models import registry_file
from polydraft.models.errors import RegistryError, UnknownModelError
from polydraft.models.recognise import describe_directory, describe_gguf, is_gguf
from polydraft.models.spec import HUB_ID, FamilySpec, HubSource, LocalSource, ModelSpec

BUILT_IN = Path(__file__).with_name("registry.toml")
DEFAULT_SMALL = "qwen2.5-coder-0.5b"
DEFAULT_LARGE = "qwen2.5-coder-1.5b"


@dataclass(frozen=True, slots=True)
class Registry:
    """Known models and families by name, in the order of the files."""

    models: Mapping[str, ModelSpec]
    families: Mapping[str, FamilySpec]

    def __iter__(self) -> Iterator[ModelSpec]:
        return iter(self.models.values())

    def get(self, name: str) -> ModelSpec:
        """The model of that name; `UnknownModelError` lists the names that come close."""
        if name in self.models:
            return self.models[name]
        close = difflib.get_close_matches(name.lower(), self.models, n=3, cutoff=0.5)
        hint = f" Did you mean {', '.join(close)}?" if close else ""
        raise UnknownModelError(
            f"Unknown model {name!r}.{hint} `polydraft models list` shows the known ones; a hub id"
            " (org/name), a directory (./dir or an absolute path) or a .gguf file works as well."
        )

    def resolve(self, text: str) -> ModelSpec:
        """A name, a path (absolute, or starting with `.` or `~`), or a hub id `org/name`.

        A bare word is never looked up in the current directory, which may be anybody's workspace.
        """
        if text in self.models:
            return self.models[text]
        if text.startswith((".", "~")) or os.path.isabs(text):
            return self.spec_for_path(Path(text))
        if HUB_ID.fullmatch(text):
            return self.spec_for_hub(text)
        return self.get(text)

    def spec_for_path(self, path: Path) -> ModelSpec:
        """A spec for a model directory or a GGUF file, its family told by its special tokens.

        `UnknownModelError` if there is no model at `path`.
        """
        path = path.expanduser().absolute()
        if not path.exists():
            raise UnknownModelError(f"{path} does not exist. Give a model directory or .gguf file.")
        tokens, facts = describe_gguf(path) if is_gguf(path) else describe_directory(path)
        return self._with_format(ModelSpec(sources=(LocalSource(path),), **facts), tokens)

    def spec_for_hub(self, repo: str) -> ModelSpec:
        """A spec for a hub repository: the known model that comes from it, else a bare one.

        A bare one has no prompt format before its files are there: call `recognise` then.
        """
        for spec in self:
            if any(
                isinstance(source, HubSource) and source.repo == repo for source in spec.sources
            ):
                return spec
        return ModelSpec(name=repo.replace("/", "--"), sources=(HubSource(repo),))

    def larger_siblings(self, spec: ModelSpec) -> tuple[str, ...]:
        """Models that may be the large one of a pair with `spec`: larger, and of its family.

        Not those whose fill-in-the-middle is broken: they would judge by the prefix alone.
        """
        return tuple(
            other.name
            for other in self
            if other.family
            and other.family == spec.family
            and (other.parameters or 0) > (spec.parameters or 0)
            and not (other.fim and other.fim.broken)
        )

    def recognise(self, spec: ModelSpec, directory: Path) -> ModelSpec:
        """The spec with its prompt format filled in from the tokenizer in `directory`, if it came
        without a family; unchanged if it has one."""
        if spec.family:
            return spec
        tokens, facts = describe_directory(directory)
        return self._with_format(replace(spec, **(facts | {"name": spec.name})), tokens)

    def _with_format(self, spec: ModelSpec, tokens: frozenset[str]) -> ModelSpec:
        matches = [f for f in self.families.values() if f.markers and f.markers <= tokens]
        if not matches:
            return spec
        family = max(matches, key=lambda f: (f.fim is not None, len(f.markers)))
        return replace(
            spec,
            family=family.name,
            license=spec.license or family.license,
            context_length=spec.context_length or family.context_length,
            fim=family.fim,
            repo=family.repo,
            stop_tokens=tuple(dict.fromkeys((*family.stop_tokens, *spec.stop_tokens))),
            bos_token=family.bos_token,
        )


def user_registry_path() -> Path:
    """Where a user's own models are looked for."""
    return Path(platformdirs.user_config_dir("polydraft")) / "models.toml"


def load_registry(user_file: Path | None = None) -> Registry:
    """Our registry with the user's file over it, key by key.

    `None` means the default place, where the file may be missing. `RegistryError` names the file
    and the key that is wrong.
    """
    families, models = registry_file.read(BUILT_IN)
    places = {(kind, name): BUILT_IN for kind, of in _kinds(families, models) for name in of}
    path = user_file or user_registry_path()
    if user_file is not None or path.is_file():
        own_families, own_models = registry_file.read(path)
        for kind, own in _kinds(own_families, own_models):
            tables = families if kind == "family" else models
            for name, table in own.items():
                tables[name] = tables.get(name, {}) | table
                places[kind, name] = path

    def where(kind: str, name: str) -> str:
        return f"{places[kind, name]}: {kind}.{name}"

    for name, table in models.items():
        if (family := table.get("family", "")) and family not in families:
            raise RegistryError(
                f"{where('model', name)}.family: unknown family {family!r}"
                f" (known: {', '.join(families)})"
            )
    return Registry(
        models={
            name: registry_file.model(
                name, families.get(table.get("family", ""), {}) | table, where("model", name)
            )
            for name, table in models.items()
        },
        families={
            name: registry_file.family(name, table, where("family", name))
            for name, table in families.items()
        },
    )


def _kinds(families: Any, models: Any) -> tuple[tuple[str, Any], tuple[str, Any]]:
    return ("family", families), ("model", models)
