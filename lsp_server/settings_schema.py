"""The settings as a JSON Schema, for editors that check and complete `polydraft.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from polydraft.lsp_server.setting_rules import Rule
from polydraft.lsp_server.settings import FILE_NAME, PRIVATE, Settings


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 7) of `polydraft.toml`, keys in snake_case."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": FILE_NAME,
        "type": "object",
        "properties": {key: each for key, each in properties().items() if key not in PRIVATE},
        "additionalProperties": False,
    }


def properties() -> dict[str, dict[str, Any]]:
    """For each setting its schema, with the default."""
    return {
        item.name: {**_schema(rule), "description": f"Takes {rule.expects}."} | _default(item)
        for item in fields(Settings)
        for rule in (item.metadata["rule"],)
    }


def _schema(rule: Rule) -> dict[str, Any]:
    if rule.keys is None:
        return dict(rule.schema)
    keys: Mapping[str, Rule] = rule.keys
    inner = {name: _schema(each) for name, each in keys.items()}
    return {**rule.schema, "properties": inner, "additionalProperties": False}


def _default(item: Any) -> dict[str, Any]:
    if item.metadata["rule"].keys is not None:
        return {"default": {}}
    return {"default": list(item.default) if isinstance(item.default, tuple) else item.default}
