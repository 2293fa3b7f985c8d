"""A language server at work: its start, the documents it is told of, and what it is asked."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from polydraft.monitors.analysers.child import Child
from polydraft.monitors.analysers.connection import Connection, Refused
from polydraft.monitors.analysers.framing import read_message
from polydraft.monitors.analysers.positions import Encoding, offset_of, position_of
from polydraft.monitors.analysis import Buffer, FileChange, Starting

_STARTS = 60.0  # seconds that it may take to answer `initialize`
_COMPLETION = {
    "completionItem": {"snippetSupport": False, "labelDetailsSupport": True},
    "contextSupport": True,
}


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What a server is told when it starts; `options` answer `workspace/configuration` as well,
    by section."""

    initialization: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Told:
    """A document as the server has it."""

    version: int
    text: str


class LanguageServer:
    """One process, from its start to its end. One thread at a time; `kill` from any."""

    def __init__(
        self, name: str, command: Sequence[str], root: str, settings: ServerSettings
    ) -> None:
        """Starts the program; raises `AnalyserError` if that fails."""
        self.name = name
        self._root = root
        self._settings = settings
        self.child: Child[dict[str, Any]] = Child(name, command, read_message, root)
        answers = {
            "workspace/configuration": self._configuration,
            "workspace/workspaceFolders": lambda _: [self._folder],
        }
        self._connection = Connection(self.child, answers, self._hear)
        self._told: dict[str, _Told] = {}
        self._diagnosed: dict[str, tuple[int | None, list[Any]]] = {}  # by URI, as pushed
        self._inactive: dict[str, list[Any]] = {}  # by URI, as pushed: what is not compiled
        self._encoding = Encoding.UTF16
        self._pulls = False
        self._numbers = itertools.count()
        self._starting: int | None = self._connection.begin("initialize", self._introduction())
        self._ready_by = time.monotonic() + _STARTS

    # --- its start ---

    def wait(self, until: float) -> None:
        """Until it is ready; raises `Starting` if it is not at `until`, `TimeoutError` if it has
        had all the time that a start may take."""
        if self._starting is None:
            return
        try:
            reply = self._connection.result(self._starting, until)
        except TimeoutError:
            if time.monotonic() < self._ready_by:
                raise Starting(f"{self.name} is still starting.") from None
            raise
        self._starting = None
        can = reply.get("capabilities", {}) if isinstance(reply, dict) else {}
        self._encoding = Encoding.of(can.get("positionEncoding"))
        self._pulls = bool(can.get("diagnosticProvider"))
        self._connection.notify("initialized", {})
        self._connection.notify(
            "workspace/didChangeConfiguration", {"settings": dict(self._settings.options)}
        )

    def _introduction(self) -> dict[str, Any]:
        return {
            "processId": os.getpid(),
            "clientInfo": {"name": "polydraft"},
            "rootUri": self._folder["uri"],
            "rootPath": self._root,
            "workspaceFolders": [self._folder],
            "initializationOptions": dict(self._settings.initialization),
            "capabilities": {
                "general": {"positionEncodings": [each.value for each in Encoding]},
                "workspace": {"configuration": True, "workspaceFolders": True},
                "window": {"workDoneProgress": True},
                "textDocument": {
                    "synchronization": {"didSave": False},
                    "completion": _COMPLETION,
                    "signatureHelp": {
                        "signatureInformation": {
                            "parameterInformation": {"labelOffsetSupport": True}
                        }
                    },
                    "publishDiagnostics": {"versionSupport": True},
                    "diagnostic": {"dynamicRegistration": False},
                    "inactiveRegionsCapabilities": {"inactiveRegions": True},  # clangd
                },
            },
        }

    @property
    def _folder(self) -> dict[str, str]:
        return {"uri": _uri(self._root), "name": Path(self._root).name}

    def _configuration(self, parameters: Any) -> list[Any]:
        items = parameters.get("items", []) if isinstance(parameters, dict) else []
        return [self._section(str(item.get("section") or "")) for item in items]

    def _section(self, name: str) -> Any:
        found: Any = self._settings.options
        for part in name.split(".") if name else ():
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    def _hear(self, method: str, parameters: Any) -> None:
        if not isinstance(parameters, dict):
            return
        if method == "textDocument/publishDiagnostics":
            found = parameters.get("version"), parameters.get("diagnostics") or []
            self._diagnosed[str(parameters.get("uri"))] = found
        elif method == "textDocument/inactiveRegions":
            document = parameters.get("textDocument") or {}
            self._inactive[str(document.get("uri"))] = parameters.get("regions") or []

    # --- documents ---

    def tell(self, buffers: Sequence[Buffer]) -> str:
        """Have these be the open documents, the last of them first in mind -> the first's URI."""
        uris = [self._open(each) for each in buffers]
        for uri in [uri for uri in self._told if uri not in uris]:
            self._connection.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
            del self._told[uri]
        return uris[0]

    def _open(self, buffer: Buffer) -> str:
        uri = _uri(buffer.path) if buffer.path else _unnamed(buffer)
        known = self._told.get(uri)
        if known is None:
            version = next(self._numbers)
            item = {
                "uri": uri,
                "languageId": buffer.language,
                "version": version,
                "text": buffer.text,
            }
            self._connection.notify("textDocument/didOpen", {"textDocument": item})
        elif known.text != buffer.text:
            version = next(self._numbers)
            change = {
                "textDocument": {"uri": uri, "version": version},
                "contentChanges": [{"text": buffer.text}],
            }
            self._connection.notify("textDocument/didChange", change)
        else:
            return uri
        self._told[uri] = _Told(version, buffer.text)
        return uri

    # --- questions ---

    def ask(self, method: str, uri: str, offset: int, until: float) -> Any:
        """A request about a place in a document; None if the server refuses to answer."""
        position = position_of(self._told[uri].text, offset, self._encoding)
        try:
            return self._connection.request(
                method, {"textDocument": {"uri": uri}, "position": position}, until
            )
        except Refused:
            return None

    def diagnostics(self, uri: str, until: float) -> list[Any]:
        """What is wrong with a document as it is now."""
        if self._pulls:
            try:
                reply = self._connection.request(
                    "textDocument/diagnostic", {"textDocument": {"uri": uri}}, until
                )
            except Refused:
                return []
            return list(reply.get("items") or []) if isinstance(reply, dict) else []
        version = self._told[uri].version
        self._connection.listen(until, lambda: self._diagnosed.get(uri, (None,))[0] == version)
        pushed, found = self._diagnosed.get(uri, (None, []))
        return found if pushed == version else []

    def is_inactive(self, uri: str, offset: int) -> bool:
        """Whether the line is not compiled (`#if 0`), as far as the server has told."""
        line = self._told[uri].text.count("\n", 0, offset)
        return any(
            each["start"]["line"] <= line <= each["end"]["line"]
            for each in self._inactive.get(uri, ())
        )

    def files_changed(self, changes: Sequence[FileChange]) -> None:
        """Files are other than they were when the server read them, or new, or gone."""
        if self._starting is None:  # else it has read none yet
            told = [{"uri": _uri(each.path), "type": each.how.value} for each in changes]
            self._connection.notify("workspace/didChangeWatchedFiles", {"changes": told})

    def offset(self, uri: str, position: Any) -> int:
        return offset_of(self._told[uri].text, position, self._encoding)

    def kill(self) -> None:
        self.child.kill()


def _uri(path: str) -> str:
    return f"file://{quote(path)}" if path.startswith("/") else f"file:///{quote(path)}"


def _unnamed(buffer: Buffer) -> str:
    """One for each language: a document without a file is never one of the others."""
    return f"untitled:polydraft-{buffer.language}"
