"""A server with its default model and analyser: names that exist, of what is nowhere saved."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.editing import at_work, change, drafts_at
from tests.lsp_server.harness import Editor

pytestmark = pytest.mark.weights

MODELS = """\
from dataclasses import dataclass


@dataclass
class Invoice:
    customer_name: str
    {member}: list[float]
"""
USE = """\
from models import Invoice


def describe(invoice: Invoice) -> str:
    return f"{invoice.customer_name}"


def report(invoices: list[Invoice]) -> None:
    for invoice in invoices:
        print(invoice."""


async def watched(editor: Editor, uri: str) -> list[dict[str, Any]]:
    """Drafts at the end of `USE`, once the monitors are at work: they begin beside the requests."""
    deadline = time.monotonic() + 120
    for version in itertools.count(2):
        drafts: list[dict[str, Any]] = (await drafts_at(editor, USE, uri, k=3))["drafts"]
        if any(draft["interventions"] for draft in drafts):
            return drafts
        assert time.monotonic() < deadline, drafts
        change(editor, uri, version, f"{USE}\n\n# {version}\n")  # no draft of before fits here
        await asyncio.sleep(0.3)
    raise AssertionError("it goes on for ever")


async def test_members_of_a_class_that_is_open_in_another_tab(
    tcp_port: int, tmp_path: Path
) -> None:
    (tmp_path / "models.py").write_text(MODELS.format(member="old_member"))
    (tmp_path / "use.py").write_text(USE + "\n")
    models, use = (tmp_path / "models.py").as_uri(), (tmp_path / "use.py").as_uri()
    async with at_work(tcp_port, tmp_path) as editor:
        editor.open(MODELS.format(member="outstanding_amounts"), uri=models)
        editor.open(USE + "\n", uri=use)
        drafts = await watched(editor, use)
    (first, *_) = [each for draft in drafts for each in draft["interventions"]]
    assert first["monitor"] == "dereference" and first["analyser"] == "ty"
    names = {draft["text"].partition("(")[0].rstrip(")") for draft in drafts}
    assert names & {"customer_name", "outstanding_amounts"}
    assert not names & {"describe", "description", "old_member"}
