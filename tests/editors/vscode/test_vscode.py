"""VS Code with the real model: what the README promises, by hand."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import listening
from tests.editors.conftest import REQUIRED
from tests.editors.vscode.conftest import Window

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.editors.vscode.workbench import CodeServer

if not REQUIRED:
    pytest.importorskip("playwright", reason="run `make editors`")
from tests.editors.vscode.workbench import until  # noqa: E402

pytestmark = pytest.mark.weights

TREE = '''"""A small family tree."""

from dataclasses import dataclass, field


@dataclass
class Person:
    name: str
    born: int
    children: list["Person"] = field(default_factory=list)


def count(person: Person) -> int:
    """The number of people in a tree."""
    return 1 + sum(count(child) for child in person.children)


def oldest(person: Person) -> Person:
    """Whoever was born first."""
'''


GRADE = '''\
def grade(score):
    if score > 90:
        return "A"
    elif score > 80:
        return "B"'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    family = tmp_path / "family"
    family.mkdir()
    (family / "tree.py").write_text(TREE)
    return family


def test_ghost_text_cycling_and_accepting(window: Window, folder: Path) -> None:
    with window(folder) as code:
        code.open("tree.py")
        code.until_ready()
        shown = code.draft_for("    ret")
        assert shown.startswith("urn ") and "\n" not in shown

        # Three different drafts, by VS Code's own key.
        seen = [shown]
        for _ in range(2):
            code.press("Alt+BracketRight")
            seen.append(code.until_ghost(seen[-1]))
        assert len(set(seen)) == 3
        code.picture("vscode.png")
        code.press("Alt+BracketRight")
        assert code.until_ghost(seen[-1]) == shown

        # A word, then the rest; each can be undone in one step.
        code.press("Control+ArrowRight")
        rest = code.until_ghost(shown)
        assert shown.endswith(rest) and len(rest) < len(shown)
        code.press("Tab")
        until(lambda: not code.ghost.startswith(rest), "the draft to be taken")
        assert code.text == f"{TREE}    ret{shown}"
        code.press("Control+KeyZ")
        assert code.text == f"{TREE}    ret{shown[: -len(rest)]}"


def test_a_draft_takes_back_the_indentation_that_the_editor_wrote(
    window: Window, folder: Path
) -> None:
    (folder / "grade.py").write_text(GRADE)
    with window(folder) as code:
        code.open("grade.py")
        code.until_ready()
        code.press("Enter")
        assert code.text == f"{GRADE}\n        "
        shown = code.until_ghost(insist=True)
        assert shown.startswith("elif score > ")
        code.press("Tab")
        until(lambda: code.ghost != shown, "the draft to be taken")
        assert code.text == f"{GRADE}\n    {shown}"
        code.press("Control+KeyZ")
        assert code.text == f"{GRADE}\n        "


def test_text_that_has_no_file(window: Window, folder: Path) -> None:
    with window(folder) as code:
        code.until_ready()
        code.command("File: New Untitled Text File")
        code.page.locator(".monaco-editor").first.wait_for()
        code.draft_for("def add(a, b):\n    return ")
        code.press("Tab")
        until(lambda: "a + b" in code.text, "the draft to be taken")


def test_the_drafts_side_by_side(window: Window, folder: Path) -> None:
    with window(folder) as code:
        code.open("tree.py")
        code.until_ready()
        code.draft_for("    return ")

        code.command("polydraft: Show the drafts side by side")
        cards = code.frame().locator(".card")
        cards.nth(2).wait_for()
        texts = [code_of(card) for card in cards.all()]
        assert len(set(texts)) == len(texts) == 3
        assert all(text.startswith("return ") for text in texts)
        assert "% a token" in (cards.first.locator(".facts").text_content() or "")
        assert cards.first.locator(".hljs-keyword").count() > 0
        code.picture("vscode-drafts.png")

        code.press("2")
        cards.first.wait_for(state="hidden")
        assert code.text == f"{TREE}    {texts[1]}"
        code.press("Control+KeyZ")
        assert code.text == f"{TREE}    return "


def test_the_pair_is_switched_in_the_menu_and_seen_in_the_status_bar(
    window: Window, code_server: CodeServer, folder: Path
) -> None:
    # The large model looks at every token, however slow the machine is.
    code_server.set(polydraft__policy="spec", polydraft__deadlineMs=30_000)
    with window(folder) as code:
        code.open("tree.py")
        code.until_ready()
        assert code.status == "qwen2.5-coder-0.5b"
        code.click_status()
        assert len(code.picks()) > 8
        code.picture("vscode-menu.png")
        code.pick("Models of this workspace")
        code.pick("qwen2.5-coder-0.5b", of="1 of 2")
        code.pick("qwen2.5-coder-1.5b", of="2 of 2")
        until(lambda: code.status == "qwen2.5-coder-0.5b + 1.5b", "the pair")
        until(lambda: "loading" not in code.status_told.lower(), "the large model")
        settings = json.loads((folder / ".vscode" / "settings.json").read_text())
        assert settings["polydraft.large"] == "qwen2.5-coder-1.5b"

        code.focus_editor()
        code.draft_for("    return ")
        code.command("polydraft: Show the drafts side by side")
        checked = code.frame().locator(".facts", has_text="checked by the large model")
        checked.first.wait_for()


def test_a_server_that_is_killed_comes_back_by_itself(
    window: Window, code_server: CodeServer, folder: Path
) -> None:
    with window(folder) as code:
        code.open("tree.py")
        code.until_ready()
        (first,) = code_server.servers()
        os.kill(first, signal.SIGKILL)
        until(lambda: "ready" not in code.status_told, "the status to say so")
        code.until_ready()
        assert code_server.servers() not in ([], [first])
        code.type("    return ")
        assert code.until_ghost(insist=True)


def test_a_model_that_is_missing_is_told_with_the_remedy(
    window: Window, code_server: CodeServer, folder: Path
) -> None:
    code_server.set(polydraft__model="qwen2.5-koder-0.5b")
    with window(folder) as code:
        told = until(lambda: code.notifications, "a message")
        assert "Unknown model 'qwen2.5-koder-0.5b'" in told
        assert "Did you mean qwen2.5-coder-0.5b" in told
        code.page.get_by_role("button", name="Choose models").click()
        code.pick("qwen2.5-coder-0.5b", of="1 of 2")
        code.pick("No larger model", of="2 of 2")
        code.until_ready()
        code.open("tree.py")
        code.type("    return ")
        assert code.until_ghost(insist=True)


def test_pausing_holds_drafts_back_until_they_are_asked_for(window: Window, folder: Path) -> None:
    with window(folder) as code:
        code.open("tree.py")
        code.until_ready()
        code.click_status()
        code.pick("Pause for this workspace")
        until(lambda: "paused for this workspace" in code.status_told, "the pause")
        code.focus_editor()
        code.type("    return ")
        assert code.settle() == ""
        code.press("Alt+Backslash")
        assert code.until_ghost()
        code.press("Escape")
        code.click_status()
        code.pick("Resume for this workspace")
        until(lambda: "paused" not in code.status_told, "the end of the pause")
        code.focus_editor()
        code.type("m")
        assert code.until_ghost()


def test_carriage_returns_tabs_and_several_cursors(window: Window, folder: Path) -> None:
    text = "func sum(values []int) int {\r\n\ttotal := 0\r\n\tfor _, value := range values {\r\n"
    (folder / "sum.go").write_bytes(text.encode())
    with window(folder) as code:
        code.open("sum.go")
        code.until_ready()
        shown = code.draft_for("\t\ttot")
        code.press("Tab")
        until(lambda: code.ghost != shown, "the draft to be taken")
        code.press("Control+KeyS")
        until(lambda: b"total +=" in (folder / "sum.go").read_bytes(), "it to be saved")
        saved = (folder / "sum.go").read_bytes()
        assert saved.startswith(text.encode() + b"\t\ttotal += value")
        assert b"\r\r" not in saved and saved.count(b"\n") == saved.count(b"\r\n")
        assert b"\n    " not in saved  # tabs, as before

        code.press("Control+Home")
        code.press("Shift+Alt+ArrowDown")  # a second cursor
        code.type("x")
        assert code.settle() == ""


def test_a_server_elsewhere_is_reached_with_its_token(
    window: Window, code_server: CodeServer, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    token_file = tmp_path_factory.mktemp("token") / "token"
    token_file.write_text("a-long-secret")
    with listening("ws", "--token-file", str(token_file)) as port:
        code_server.set(polydraft__serverUrl=f"ws://127.0.0.1:{port}")
        with window(folder) as code:
            until(lambda: "wants a token" in code.status_told, "the refusal")
            code.command("polydraft: Set the server's token")
            code.page.locator(".quick-input-title", has_text="the token of the server").wait_for()
            code.type("a-long-secret", delay_ms=0)
            code.press("Enter")
            code.until_ready()
            assert code_server.servers() == []  # none was started here
            code.open("tree.py")
            code.type("    return ")
            assert code.until_ghost(insist=True)


def test_an_untrusted_folder_chooses_neither_model_nor_program(
    window: Window, code_server: CodeServer, folder: Path
) -> None:
    fake = folder / ".venv" / "bin" / "python"
    fake.parent.mkdir(parents=True)
    fake.write_text(f"#!/bin/sh\ntouch {folder}/started\n")
    fake.chmod(0o755)
    (folder / ".vscode").mkdir()
    (folder / ".vscode" / "settings.json").write_text(
        json.dumps({"polydraft.model": "/somewhere/else", "polydraft.k": 2})
    )
    code_server.set(
        polydraft__serverPath="",  # the one on the PATH
        security__workspace__trust__enabled=True,
        security__workspace__trust__startupPrompt="never",
        security__workspace__trust__banner="never",
    )
    with window(folder) as code:
        code.until_ready()
        assert code.status == "qwen2.5-coder-0.5b"
        assert not (folder / "started").exists()
        code.click_status()  # what is harmless holds
        assert any("Number of drafts" in entry and "2" in entry for entry in code.picks())


def code_of(card: Locator) -> str:
    return card.locator("code").text_content() or ""
