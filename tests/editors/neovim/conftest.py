"""A child Neovim that tests drive as a user would: keys in, text and ghost text out."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import pytest

from tests.editors.toolchain import Toolchain

HERE = Path(__file__).parent
PLUGIN = HERE.parents[2] / "editor-clients" / "neovim"
DEADLINE = float(
    os.environ.get("POLYDRAFT_TEST_DEADLINE", "20")
)  # seconds for what should take milliseconds, on a busy machine

INIT = """
vim.opt.runtimepath:prepend(%(plugin)s)
vim.o.swapfile, vim.o.more, vim.o.shadafile = false, false, 'NONE'
vim.o.ruler, vim.o.showcmd, vim.o.showmode = false, false, false
vim.g.loaded_python3_provider = 0 -- its search costs each start with a Python file a second
vim.g.messages = {}
local notify = vim.notify
vim.notify = function(message, level)
  vim.g.messages = vim.list_extend(vim.g.messages, { message })
end
vim.api.nvim_create_autocmd('User', { pattern = 'PolydraftStatus', callback = function()
  vim.g.told_status = true
end })
-- What the user sees of a draft: its pieces by row, and where they stand.
function _G.ghost()
  local seen = {}
  local spaces = vim.api.nvim_get_namespaces()
  for _, name in ipairs { 'polydraft', 'nvim.lsp.inline_completion' } do
    local marks = spaces[name]
      and vim.api.nvim_buf_get_extmarks(0, spaces[name], 0, -1, { details = true }) or {}
    for _, mark in ipairs(marks) do
      local function text(chunks)
        return vim.iter(chunks or {}):map(function(c) return c[1] end):join('')
      end
      local details = mark[4]
      if details.virt_text then
        table.insert(seen, { at = { mark[2], mark[3] }, text = text(details.virt_text),
          how = details.virt_text_pos })
      end
      for _, line in ipairs(details.virt_lines or {}) do
        table.insert(seen, { at = { mark[2], mark[3] }, text = text(line), how = 'below' })
      end
    end
  end
  return seen
end
%(before)s
require('polydraft').setup(%(setup)s)
"""


def wait_until(what: Callable[[], Any], holds: Callable[[Any], bool] = bool) -> Any:
    """Wait until something holds of what there is; what there was at the deadline, in the error."""
    end = time.monotonic() + DEADLINE
    while not holds(value := what()):
        assert time.monotonic() < end, f"still {value!r} after {DEADLINE:.0f} s"
        time.sleep(0.01)
    return value


@dataclass
class Nvim:
    """A running Neovim and the scripted server's folder."""

    binary: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    connection: socket.socket | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    # --- before it runs ---

    def scenario(self, **scenario: Any) -> None:
        draft = self.folder / "scenario.new"
        draft.write_text(json.dumps(scenario), "utf-8")
        draft.replace(self.folder / "scenario.json")

    def write_init(self, setup: str, *, before: str, cmd: list[str] | None) -> Path:
        """An init file; `setup` are the options beside `cmd`, in Lua."""
        server = [sys.executable, str(HERE / "scripted_server.py"), str(self.folder)]
        names = ", ".join(json.dumps(word) for word in cmd or server)
        options = f"{{ cmd = {{ {names} }}, {setup} }}" if cmd != [] else f"{{ {setup} }}"
        init = self.folder / "init.lua"
        values = {"plugin": json.dumps(str(PLUGIN)), "setup": options, "before": before}
        init.write_text(INIT % values, "utf-8")
        return init

    def write_file(self, content: str, name: str) -> Path:
        file = self.folder / "work" / name
        file.parent.mkdir(exist_ok=True)
        (file.parent / ".git").mkdir(exist_ok=True)
        file.write_text(content, "utf-8", newline="")
        return file

    def start(
        self,
        content: str = "",
        *,
        name: str = "file.py",
        setup: str = "",
        before: str = "",
        cmd: list[str] | None = None,
        attach: bool = True,
    ) -> None:
        init = self.write_init(setup, before=before, cmd=cmd)
        file = self.write_file(content, name)
        arguments = ["--headless", "--listen", str(self.socket), "-i", "NONE", "-u", str(init)]
        self.process = subprocess.Popen(
            [self.binary, *arguments, file],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self.socket.exists)
        if attach:
            wait_until(lambda: self.get("vim.g.told_status"))

    # --- while it runs ---

    def call(self, method: str, *arguments: Any) -> Any:
        """A function of Neovim's API, over its socket."""
        if self.connection is None:
            self.connection = wait_until(self._connected)
        self.connection.sendall(msgpack.packb([0, 1, method, arguments]))
        answer = msgpack.Unpacker()
        while True:
            answer.feed(self.connection.recv(1 << 16))
            for _, _, error, value in answer:
                assert error is None, error
                return value

    def _connected(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(DEADLINE)
        try:
            connection.connect(str(self.socket))
        except ConnectionRefusedError:  # its file is there, and nobody listens yet
            connection.close()
            return None
        return connection

    def get(self, expression: str) -> Any:
        """The value of a Lua expression."""
        # As JSON, since handles of buffers and windows have no other common form.
        answer = json.loads(
            self.call("nvim_exec_lua", f"return vim.json.encode({{ value = {expression} }})", [])
        )
        return answer["value"] if answer else None  # a table with nil alone is an empty list

    def keys(self, keys: str) -> None:
        self.call("nvim_input", keys)

    def text(self) -> list[str]:
        lines: list[str] = self.get("vim.api.nvim_buf_get_lines(0, 0, -1, false)")
        return lines

    def ghost(self) -> list[dict[str, Any]]:
        return list(self.get("_G.ghost()") or [])

    def ghost_text(self) -> str:
        """All that is seen of the draft; lines below on lines of their own."""
        parts = [
            ("\n" if each["how"] == "below" else " " if each["how"] == "eol" else "") + each["text"]
            for each in sorted(self.ghost(), key=lambda each: bool(each["how"] == "below"))
        ]
        return "".join(parts)

    def wait_ghost(self, expected: str) -> None:
        wait_until(self.ghost_text, lambda seen: seen == expected)

    def wait_text(self, *expected: str) -> None:
        wait_until(self.text, lambda seen: seen == list(expected))

    def messages(self) -> list[str]:
        return list(self.get("vim.g.messages") or [])

    def received(self, method: str | None) -> list[dict[str, Any]]:
        """What the server got under a name."""
        log = self.folder / "received.jsonl"
        lines = log.read_text("utf-8").split("\n")[:-1] if log.exists() else []
        return [each for line in lines if (each := json.loads(line)).get("method") == method]

    def let(self, name: str) -> None:
        """Let the server go on with what it holds."""
        (self.folder / name).touch()

    def stop(self) -> None:
        if self.connection is not None:
            self.connection.close()
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        # A server whose client is gone reads the end of its input and ends.


@pytest.fixture(params=["0.11", "0.12"])
def nvim_binary(request: pytest.FixtureRequest, editor_toolchain: Toolchain) -> Path:
    """The oldest Neovim that is supported, or the first with ghost text of its own."""
    return editor_toolchain.nvim011() if request.param == "0.11" else editor_toolchain.nvim012()


@pytest.fixture
def nvim(nvim_binary: Path, tmp_path: Path) -> Iterator[Nvim]:
    """Not started yet: a test may set a scenario first."""
    homes = {
        f"XDG_{kind}_HOME": str(tmp_path / kind.lower()) for kind in ("STATE", "DATA", "CONFIG")
    }
    child = Nvim(
        nvim_binary, tmp_path, environment={**homes, "NVIM_LOG_FILE": str(tmp_path / "log")}
    )
    child.scenario(at="x = ", drafts=["foo(1)", "foobar + 2", "bar"])
    yield child
    child.stop()


@pytest.fixture
def poll() -> Callable[..., Any]:
    return wait_until


@pytest.fixture
def is_native(nvim_binary: Path) -> bool:
    """Whether this Neovim has ghost text of its own."""
    shown = subprocess.run([nvim_binary, "--version"], capture_output=True, text=True, check=True)
    return not shown.stdout.startswith("NVIM v0.11")


@pytest.fixture
def tmux(editor_toolchain: Toolchain) -> str:
    return str(editor_toolchain.tmux())
