"""A language server with fixed drafts, for tests of clients: what it does is in `scenario.json`.

The scenario is read for each request, so a test may change it at any time. All that arrives is
written to `received.jsonl`. Next to these files, a file `go` lets a held answer go, and `better`
sends the better drafts.

    {"at": "x = ", "drafts": ["foo(1)", "bar"], "replace": 1}

stands for two drafts behind the last "x = " of the document, each replacing one character; behind
"x = f" only the rest of the first is left. See `Scenario` for what else there is.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, TypedDict

_CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


class Scenario(TypedDict, total=False):
    at: str
    drafts: list[str]
    replace: int
    hold: bool  # stream the first draft, answer when `go` is there
    better: list[str]  # the drafts in the answer's places, told when `better` is there
    encoding: str
    models: list[dict[str, Any]]
    die: bool  # instead of answering
    loading: bool  # no drafts, until `loaded` is there


class Server:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents: dict[str, tuple[int, str]] = {}
        self.encoding = "utf-16"
        self.writing = threading.Lock()
        self.cancelled: set[int] = set()

    @property
    def scenario(self) -> Scenario:
        scenario: Scenario = json.loads((self.folder / "scenario.json").read_text("utf-8"))
        return scenario

    def send(self, **message: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        with self.writing:
            sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            sys.stdout.buffer.flush()

    def serve(self) -> None:
        while message := self.read():
            with (self.folder / "received.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps({"pid": os.getpid(), **message}) + "\n")
            self.handle(message)

    def read(self) -> dict[str, Any] | None:
        length = 0
        while (line := sys.stdin.buffer.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        message: dict[str, Any] | None = json.loads(sys.stdin.buffer.read(length) or "null")
        return message

    def handle(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params") or {}
        match method:
            case "initialize":
                self.encoding = self.scenario.get("encoding", "utf-16")
                capabilities = {
                    "positionEncoding": self.encoding,
                    "textDocumentSync": {"openClose": True, "change": 1},
                    "inlineCompletionProvider": {},
                    "executeCommandProvider": {"commands": ["polydraft.accepted"]},
                }
                self.send(id=message["id"], result={"capabilities": capabilities})
            case "initialized":
                self.tell_status()
                if self.is_loading():
                    threading.Thread(target=self.load, daemon=True).start()
            case "textDocument/didOpen":
                document = params["textDocument"]
                self.documents[document["uri"]] = (document["version"], document["text"])
            case "textDocument/didChange":
                document, text = params["textDocument"], params["contentChanges"][-1]["text"]
                self.documents[document["uri"]] = (document["version"], text)
            case "workspace/didChangeConfiguration":
                items = [{"section": "polydraft"}]
                self.send(id="settings", method="workspace/configuration", params={"items": items})
            case "$/cancelRequest":
                self.cancelled.add(params["id"])
            case "polydraft/drafts":
                if self.scenario.get("die"):
                    os._exit(3)
                threading.Thread(target=self.answer, args=(message,), daemon=True).start()
            case "textDocument/inlineCompletion":
                self.send(id=message["id"], result={"items": self.items(params)})
            case "polydraft/models":
                self.tell_models(message["id"])
            case "polydraft/reload":
                self.send(id=message["id"], result=self.status())
            case "exit":
                os._exit(0)
            case _ if "id" in message and method:
                self.send(id=message["id"], result=None)

    def status(self) -> dict[str, Any]:
        state = "loading" if self.is_loading() else "ready"
        texts = {"state": state, "message": state, "model": "scripted", "largeMessage": ""}
        return {**texts, "largeState": "none", "large": None, "progress": None, "root": None}

    def is_loading(self) -> bool:
        return self.scenario.get("loading", False) and not (self.folder / "loaded").exists()

    def load(self) -> None:
        while self.is_loading():
            time.sleep(0.01)
        self.tell_status()

    def tell_status(self) -> None:
        self.send(method="polydraft/status", params=self.status())

    def tell_models(self, request: int) -> None:
        models = self.scenario.get("models")
        if models is None:
            self.send(id=request, error={"code": -32601, "message": "no such method"})
        else:
            self.send(id=request, result={"models": models})

    def units(self, text: str) -> int:
        codec, width = _CODECS[self.encoding]
        return len(text.encode(codec)) // width

    def prefix(self, params: dict[str, Any]) -> str:
        """The document before the position."""
        lines = self.documents[params["textDocument"]["uri"]][1].splitlines(keepends=True) + [""]
        line, character = params["position"]["line"], params["position"]["character"]
        codec, width = _CODECS[self.encoding]
        before = lines[line].encode(codec)[: character * width].decode(codec)
        return "".join([*lines[:line], before])

    def drafts(self, params: dict[str, Any], texts: list[str]) -> list[dict[str, Any]]:
        scenario = self.scenario
        _, found, typed = self.prefix(params).replace("\r\n", "\n").rpartition(scenario["at"])
        position = params["position"]
        end = {**position, "character": position["character"] + scenario.get("replace", 0)}
        start = {**position, "character": position["character"] - scenario.get("outdent", 0)}
        return [
            {
                "id": f"{params['position']['character']}.{index}",
                "text": text[len(typed) :],
                "range": {"start": start, "end": end},
                "meanLogprob": -0.25 * (index + 1),
                "tokenCount": 4,
                "drafter": "greedy" if index == 0 else "beam",
                "method": "led beam",
                "finish": "stop",
                "parts": [{"origin": "small", "tokens": 4, "end": self.units(text[len(typed) :])}],
                "switches": [],
                "checked": False,
                "interventions": [],
                "problems": [],
            }
            for index, text in enumerate(texts)
            if found and text.startswith(typed) and text != typed
        ]

    def items(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "insertText": draft["text"],
                "range": draft["range"],
                "command": {
                    "title": "Draft accepted",
                    "command": "polydraft.accepted",
                    "arguments": [draft["id"]],
                },
            }
            for draft in self.drafts(params, self.scenario["drafts"])
        ]

    def answer(self, message: dict[str, Any]) -> None:
        params, request, scenario = message["params"], message["id"], self.scenario
        uri = params["textDocument"]["uri"]
        version = self.documents[uri][0]
        drafts = [] if self.is_loading() else self.drafts(params, scenario["drafts"])
        about = {"requestId": request, "uri": uri, "version": version}
        if scenario.get("hold"):
            if drafts:
                self.send(method="polydraft/draft", params={**about, "draft": drafts[0]})
            if not self.wait_for("go", request):
                error = {"code": -32800, "message": "cancelled"}
                self.send(id=request, error=error)
                return
        self.send(id=request, result={"version": version, "drafts": drafts, "stats": {}})
        if "better" in scenario and self.wait_for("better", request):
            better = self.drafts(params, scenario["better"])
            for draft in better:
                [part] = draft["parts"]
                small = {"origin": "small", "tokens": 2, "end": 3}
                draft.update(parts=[small, {**part, "origin": "large"}], checked=True)
            params = {**about, "drafts": better, "stats": {}, "final": True}
            self.send(method="polydraft/drafts", params=params)

    def wait_for(self, name: str, request: int) -> bool:
        while not (self.folder / name).exists():
            if request in self.cancelled:
                return False
            time.sleep(0.01)
        return True


if __name__ == "__main__":
    Server(Path(sys.argv[1])).serve()
