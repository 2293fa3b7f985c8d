"""The code of our own documents, so that what they say is what is tested."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]


def section(document: str, heading: str) -> str:
    """The text under a heading, up to the next one that is not below it."""
    text = (ROOT / document).read_text("utf-8")
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,3}} |\Z)", text, re.M | re.S)
    assert found, f'{document} has no heading "{heading}"'
    return found[2]


def code_under(document: str, heading: str) -> list[str]:
    """The indented blocks under a heading."""
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", section(document, heading), re.M)
    return [textwrap.dedent(block).strip("\n") + "\n" for block in blocks if block.strip()]
