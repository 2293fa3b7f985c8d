"""The settings that VS Code lists are those of the server: `make schemas` writes them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

CLIENT = Path(__file__).parents[2] / "editor-clients" / "vscode"


def test_package_json_and_the_schema_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("contributions", CLIENT / "contributions.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.PACKAGE.read_text() == made.dumps(made.package()), "run `make schemas`"
    assert made.SCHEMA.read_text() == made.dumps(made.toml_schema()), "run `make schemas`"
    assert json.loads(made.SCHEMA.read_text())["properties"]["k"]["description"]
