"""Reads and checks one registry file; every error names the file and the key."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from polydraft.models.errors import RegistryError
from polydraft.models.spec import (
    NAME,
    ArchiveSource,
    FamilySpec,
    FimSpec,
    HubSource,
    LocalSource,
    ModelSpec,
    RepoSpec,
    Source,
)

Table = dict[str, Any]
Tables = dict[str, Table]

_FAMILY_KEYS: dict[str, type] = {
    "license": str,
    "context_length": int,
    "bos": str,
    "fim": dict,
    "repo": dict,
    "stop": list,
}
_MODEL_KEYS: dict[str, type] = _FAMILY_KEYS | {
    "family": str,
    "parameters": int,
    "bytes": int,
    "sha256": str,
    "fim_broken": bool,
    "note": str,
    "sources": list,
}
_FIM_KEYS: dict[str, type] = {"prefix": str, "suffix": str, "middle": str}
_REPO_KEYS: dict[str, type] = {field.name: str for field in fields(RepoSpec)}
_SOURCE_KEYS: dict[str, dict[str, type]] = {
    "hub": {"hub": str, "revision": str, "file": str},
    "package": {"package": str, "version": str, "member": str, "parts": int},
    "path": {"path": str},
}
_TYPE_NAMES = {str: "a string", int: "a whole number", bool: "true or false", list: "a list"}


def read(path: Path) -> tuple[Tables, Tables]:
    """The `family` and `model` tables of a file, their keys and types checked."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RegistryError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RegistryError(f"{path}: cannot be read as TOML: {error}") from None
    _check(raw, {"family": dict, "model": dict}, str(path))
    tables = {"family": raw.get("family", {}), "model": raw.get("model", {})}
    for kind, keys in (("family", _FAMILY_KEYS), ("model", _MODEL_KEYS)):
        for name, table in tables[kind].items():
            _check_entry(name, table, keys, f"{path}: {kind}.{name}")
    return tables["family"], tables["model"]


def family(name: str, table: Mapping[str, Any], where: str) -> FamilySpec:
    """A family from its table."""
    try:
        return FamilySpec(name=name, **_format(table))
    except (TypeError, ValueError) as error:
        raise RegistryError(f"{where}: {error}") from None


def model(name: str, table: Mapping[str, Any], where: str) -> ModelSpec:
    """A model from its table, already laid over that of its family."""
    if "sources" not in table:
        raise RegistryError(f"{where}: the key 'sources' is missing")
    sources = tuple(_source(s, f"{where}.sources[{i}]") for i, s in enumerate(table["sources"]))
    own: Table = {key: table.get(key) for key in ("parameters", "bytes", "sha256")}
    own |= {key: table.get(key, "") for key in ("family", "note")}
    try:
        return ModelSpec(name=name, sources=sources, **own, **_format(table))
    except (TypeError, ValueError) as error:
        raise RegistryError(f"{where}: {error}") from None


def _format(table: Mapping[str, Any]) -> Table:
    fim, repo = table.get("fim"), table.get("repo")
    return {
        "license": table.get("license", ""),
        "context_length": table.get("context_length"),
        "fim": FimSpec(**fim, broken=table.get("fim_broken", False)) if fim else None,
        "repo": RepoSpec(**repo) if repo else None,
        "stop_tokens": tuple(table.get("stop", ())),
        "bos_token": table.get("bos") or None,
    }


def _source(table: Any, where: str) -> Source:
    kind = next((key for key in _SOURCE_KEYS if isinstance(table, dict) and key in table), None)
    if kind is None:
        raise RegistryError(f"{where}: must be a table with one of {', '.join(_SOURCE_KEYS)}")
    _check(table, _SOURCE_KEYS[kind], where)
    try:
        if kind == "hub":
            return HubSource(table["hub"], table.get("revision"), table.get("file"))
        if kind == "package":
            return ArchiveSource(**table)
        path = Path(table["path"]).expanduser()
        if not path.is_absolute():
            raise ValueError("path must be absolute or start with ~")
        return LocalSource(path)
    except (TypeError, ValueError) as error:
        raise RegistryError(f"{where}: {error}") from None


def _check_entry(name: str, table: Any, keys: Mapping[str, type], where: str) -> None:
    if not NAME.fullmatch(name):
        raise RegistryError(f"{where}: a name is made of letters, digits, '.', '_' and '-'")
    if not isinstance(table, dict):
        raise RegistryError(f"{where}: must be a table")
    _check(table, keys, where)
    _check(table.get("fim", {}), _FIM_KEYS, f"{where}.fim")
    if missing := [key for key in _FIM_KEYS if table.get("fim") and key not in table["fim"]]:
        raise RegistryError(f"{where}.fim: the key {missing[0]!r} is missing")
    _check(table.get("repo", {}), _REPO_KEYS, f"{where}.repo")
    if not all(isinstance(token, str) for token in table.get("stop", [])):
        raise RegistryError(f"{where}.stop: must be a list of strings")


def _check(table: Mapping[str, Any], keys: Mapping[str, type], where: str) -> None:
    for key, value in table.items():
        if key not in keys:
            close = difflib.get_close_matches(key, keys, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f" (known: {', '.join(keys)})"
            raise RegistryError(f"{where}: unknown key {key!r}{hint}")
        wanted = keys[key]
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise RegistryError(f"{where}.{key}: must be {_TYPE_NAMES.get(wanted, 'a table')}")
