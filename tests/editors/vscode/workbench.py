"""A real VS Code, served to a browser by code-server, and driven as a person drives it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, Locator, Page, sync_playwright

from polydraft.models.cache_dir import cache_root

DOCS = Path(__file__).parents[3] / "docs"
PATIENCE = 60  # seconds until something is taken for lost
WIDTH, HEIGHT = 1100, 640
GHOST = ", ".join(
    f".editor-instance .{name}"
    for name in ("ghost-text-decoration", "ghost-text-decoration-preview", "suggest-preview-text")
)
MACHINE = ("polydraft.serverPath", "polydraft.serverUrl", "polydraft.installFrom")
# Quiet, and the same on every machine.
SETTINGS: Mapping[str, Any] = {
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "chat.disableAIFeatures": True,
    "window.commandCenter": False,
    "security.workspace.trust.enabled": False,
    "telemetry.telemetryLevel": "off",
    "editor.minimap.enabled": False,
    "git.enabled": False,
    "extensions.ignoreRecommendations": True,
    "window.restoreWindows": "none",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
}


@dataclass(frozen=True)
class Installed:
    """What a VS Code in a browser consists of."""

    node: Path
    code_server: Path  # its entry.js
    chromium: Path
    vsix: Path
    polydraft: Path  # the program

    @classmethod
    def of(cls, tools: Any) -> Installed:
        """What a toolchain has, and the polydraft that runs this."""
        program = Path(sys.executable).with_name("polydraft")
        return cls(tools.node(), tools.code_server(), tools.chromium(), tools.vsix(), program)


@dataclass
class CodeServer:
    """A running code-server with the extension in it; `home` is all that it may write to."""

    installed: Installed
    home: Path
    environment: Mapping[str, str]
    port: int
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def at(cls, home: Path, installed: Installed) -> CodeServer:
        """One that is still to be started; its models are the user's own."""
        own = {"HOME": str(home), "POLYDRAFT_CACHE": str(cache_root())}
        return cls(installed, home, {**os.environ, **own}, free_port())

    @property
    def command(self) -> list[str]:
        """What `code` is elsewhere."""
        return [
            str(self.installed.node),
            str(self.installed.code_server),
            *("--config", str(self.home / "config.yaml")),
            *("--user-data-dir", str(self.home / "data")),
            *("--extensions-dir", str(self.home / "extensions")),
        ]

    def set(self, **settings: Any) -> None:
        """Write the user's settings; dots are written as two underscores.

        What is set for a machine has a file of its own: code-server counts as another machine.
        """
        named = {key.replace("__", "."): value for key, value in settings.items()}
        machine = {"polydraft.serverPath": str(self.installed.polydraft)}
        machine |= {key: named.pop(key) for key in MACHINE if key in named}
        for folder, values in (("User", {**SETTINGS, **named}), ("Machine", machine)):
            file = self.home / "data" / folder / "settings.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))

    def start(self, with_extension: bool = True) -> None:
        self.set()
        if with_extension:
            install = [*self.command, "--install-extension", str(self.installed.vsix)]
            done = subprocess.run(install, env=self.environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        serve = ["--auth", "none", "--bind-addr", f"127.0.0.1:{self.port}"]
        serve += ["--disable-telemetry", "--disable-update-check"]
        log = (self.home / "code-server.log").open("wb")
        self.process = subprocess.Popen(
            [*self.command, *serve],
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        until(self._answers, "code-server to answer")

    def _answers(self) -> bool:
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(PATIENCE)

    def servers(self) -> list[int]:
        """The process ids of the polydraft servers that it has started."""
        found = []
        for directory in Path("/proc").iterdir():
            try:
                words = (directory / "cmdline").read_bytes().split(b"\0")
                environment = (directory / "environ").read_bytes()
            except OSError:
                continue
            if b"serve" in words and f"HOME={self.home}".encode() in environment.split(b"\0"):
                found.append(int(directory.name))
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(
    condition: Callable[[], object],
    what: str,
    seconds: float = PATIENCE,
    now: Callable[[], str] = lambda: "",
) -> Any:
    """Wait for a condition to come true; `now` says how things are if it does not."""
    end = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        assert time.monotonic() < end, f"waited {seconds} s for {what}: {now()}"
        time.sleep(0.05)


class Workbench:
    """A VS Code window with a folder open."""

    def __init__(self, page: Page) -> None:
        self.page = page

    # --- what is to be seen ---

    @property
    def status(self) -> str:
        """The text of polydraft's status bar item."""
        return (self._status_item.text_content() or "").replace("\xa0", " ").strip()

    @property
    def status_told(self) -> str:
        """What a screen reader says of it."""
        told = self._status_item.locator("[aria-label]")
        return (told.first.get_attribute("aria-label") or "") if told.count() else ""

    @property
    def _status_item(self) -> Locator:
        return self.page.locator('[id="polydraft.polydraft.polydraft.status"]')

    @property
    def position(self) -> str:
        """Where the cursor is, as the status bar says it: "Ln 3, Col 5"."""
        item = self.page.locator('[id="status.editor.selection"]')
        return (item.text_content() or "").replace("\xa0", " ").strip() if item.count() else ""

    @property
    def ghost(self) -> str:
        """The ghost text on display; lines are joined."""
        texts = self.page.locator(GHOST).all_text_contents()
        return "".join(texts).replace("\xa0", " ").replace("\u200b", "")

    @property
    def notifications(self) -> str:
        return " | ".join(self.page.locator(".notification-list-item-message").all_text_contents())

    @property
    def text(self) -> str:
        """The saved text of the file would lag: copy what the editor holds."""
        self.press("Control+KeyA")
        self.press("Control+KeyC")
        self.press("ArrowRight")
        return str(self.page.evaluate("navigator.clipboard.readText()"))

    def frame(self) -> Any:
        """The page inside of the drafts panel."""
        return self.page.frame_locator("iframe.webview.ready").frame_locator("iframe#active-frame")

    # --- what a person does ---

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def type(self, text: str, delay_ms: float = 60) -> None:
        self.page.keyboard.type(text, delay=delay_ms)

    def command(self, title: str) -> None:
        """Run a command by its title in the palette."""
        self.press("F1")
        box = self.page.locator(".quick-input-widget input").first
        box.wait_for(state="visible")
        box.fill(f">{title}")
        self.page.locator(".quick-input-list .monaco-list-row", has_text=title).first.wait_for()
        self.press("Enter")

    def click_status(self) -> None:
        """Open polydraft's menu."""
        self._status_item.locator("a").first.click()

    def pick(self, label: str, of: str = "polydraft") -> None:
        """Choose an entry of the list with that title."""
        self.page.locator(".quick-input-title", has_text=of).wait_for()
        row = self.page.locator(".quick-input-list .monaco-list-row", has_text=label).first
        row.wait_for()
        row.click()

    def picks(self) -> list[str]:
        """The entries of the list that is open."""
        rows = self.page.locator(".quick-input-list .monaco-list-row")
        rows.first.wait_for()
        return [text.replace("\xa0", " ") for text in rows.all_text_contents()]

    def open(self, name: str) -> None:
        """Open a file of the folder, with the cursor at its end."""
        self.press("Control+KeyP")
        box = self.page.locator(".quick-input-widget input").first
        box.wait_for(state="visible")
        box.fill(name)
        self.page.locator(".quick-input-list .monaco-list-row", has_text=name).first.wait_for()
        self.press("Enter")
        self.page.locator(f'.tab.active[data-resource-name="{name}"]').wait_for()
        self.page.locator(".editor-instance .monaco-editor .view-lines").first.wait_for()
        self.focus_editor()
        until(self._at_end, "the cursor to be at the end of the file", now=lambda: self.position)

    def _at_end(self) -> bool:
        """Go to the end of the file; a window that is still busy may lose the key."""
        self.press("Control+End")
        time.sleep(0.2)
        return self.position.startswith("Ln") and self.position != "Ln 1, Col 1"

    def focus_editor(self) -> None:
        self.command("View: Focus Active Editor Group")
        self.page.locator(".editor-instance .monaco-editor.focused").first.wait_for()

    def picture(self, name: str) -> None:
        """With POLYDRAFT_WRITE_PICTURES=1, what is to be seen becomes the picture in docs/."""
        file = DOCS / name
        if os.environ.get("POLYDRAFT_WRITE_PICTURES"):
            self.page.mouse.move(WIDTH / 2, 0)  # no hover
            time.sleep(0.5)  # nor what fades in
            self.page.screenshot(path=file)
        assert file.exists(), "run `make pictures`"

    def close_menu(self) -> None:
        """Close the menu of IntelliSense, which VS Code opens where a draft takes 750 ms."""
        if self.page.locator(".suggest-widget.visible").count():
            self.press("Escape")

    def until_ready(self, seconds: float = PATIENCE) -> None:
        """Wait until the model is loaded."""
        until(
            lambda: "qwen" in self.status,
            "the model to be ready",
            seconds,
            lambda: self.status_told,
        )

    def until_ghost(self, other_than: str = "", insist: bool = False) -> str:
        """Wait for ghost text (other than that), and give it.

        With `insist` IntelliSense's menu is closed and drafts are asked for again if none come: on
        a slow machine the first ones of a model may be later than VS Code waits.
        """

        def shown() -> str:
            return text if (text := self.ghost) != other_than else ""

        if insist:
            for _ in range(4):
                with suppress(AssertionError):
                    return str(until(shown, "ghost text", 20))
                self.close_menu()
                self.press("Alt+Backslash")
        return str(until(shown, "ghost text"))

    def draft_for(self, text: str) -> str:
        """Type, wait until the drafts are there, and give the one on display."""
        self.type(text)
        self.until_ghost(insist=True)
        shown = self.settle()
        self.close_menu()
        return shown

    def settle(self) -> str:
        """Wait until ghost text stays as it is."""
        last, since = self.ghost, time.monotonic()
        while time.monotonic() - since < 1:
            time.sleep(0.05)
            if (now := self.ghost) != last:
                last, since = now, time.monotonic()
        return last


@contextmanager
def browser_of(chromium: Path) -> Iterator[Browser]:
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    arguments += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def workbench(browser: Browser, server: CodeServer, folder: Path) -> Iterator[Workbench]:
    """A window on a folder; it is closed at the end, and with it its language server."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    try:
        page.goto(f"http://127.0.0.1:{server.port}/?{urlencode({'folder': str(folder)})}")
        page.wait_for_selector(".monaco-workbench", timeout=1000 * PATIENCE)
        yield Workbench(page)
    except BaseException:
        page.screenshot(path=folder / "failed.png")
        raise
    finally:
        context.close()
