"""Writes the settings into `package.json` and `schemas/`: run by `make schemas` after a change.

What a setting takes comes from the server's rules, what it does from the table in docs/settings.md.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from polydraft.lsp_server.messages import camel_case
from polydraft.lsp_server.settings import PRIVATE
from polydraft.lsp_server.settings_schema import properties, schema

HERE = Path(__file__).parent
SETTINGS = HERE.parents[1] / "docs" / "settings.md"
PACKAGE = HERE / "package.json"
SCHEMA = HERE / "schemas" / "polydraft.schema.json"

# What only this extension reads: where the server is.
OWN: dict[str, dict[str, Any]] = {
    "serverPath": {
        "type": "string",
        "default": "",
        "scope": "machine",
        "markdownDescription": "The `polydraft` program to start. Empty: the one of the workspace's"
        " environment (`.venv`, if the workspace is trusted), of this extension's own, in"
        " `~/.polydraft`, or on the PATH.",
    },
    "serverUrl": {
        "type": "string",
        "default": "",
        "pattern": "^(wss?://.+)?$",
        "scope": "machine",
        "markdownDescription": "A server that is already running, e.g. `ws://127.0.0.1:8766`"
        " (`polydraft serve --ws`). Its token is set by the command *polydraft: Set the server's"
        " token*.",
    },
    "installFrom": {
        "type": "string",
        "default": "polydraft",
        "scope": "machine",
        "markdownDescription": "What pip installs into this extension's own environment when you"
        " ask for it: a requirement, a wheel or a folder.",
    },
}


def descriptions() -> dict[str, str]:
    """What the settings do, by name."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]* \| [^|]*\| (.*) \|$", SETTINGS.read_text(), re.M)
    return {name: _without_links(text[0].upper() + text[1:] + ".") for name, text in rows}


def _without_links(text: str) -> str:
    return re.sub(r"\[([^]]+)\]\(([\w.-]+)\)", r"docs/\2", text)


def configuration() -> dict[str, Any]:
    """The settings as VS Code lists them."""
    told = descriptions()
    return {f"polydraft.{name}": value for name, value in OWN.items()} | {
        f"polydraft.{camel_case(name)}": {
            **{key: value for key, value in each.items() if key != "description"},
            "scope": "application" if name in PRIVATE else "resource",
            "markdownDescription": told[name],
        }
        for name, each in properties().items()
    }


def toml_schema() -> dict[str, Any]:
    told = descriptions()
    described = schema()
    for name, each in described["properties"].items():
        each["description"] = told[name]
    return described


def package() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(PACKAGE.read_text())
    read["contributes"]["configuration"]["properties"] = configuration()
    return read


def dumps(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.parent.mkdir(exist_ok=True)
    SCHEMA.write_text(dumps(toml_schema()))
    PACKAGE.write_text(dumps(package()))
