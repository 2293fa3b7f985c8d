"""Downloads through the real hub library from a small hub on the loopback interface."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tiny import REVISION, write_tiny_directory

from polydraft.models import hub
from polydraft.models.errors import ChecksumError, SourceError
from polydraft.models.model_files import missing_files
from polydraft.models.progress import silent
from polydraft.models.spec import HubSource

GGUF = b"GGUF" + bytes(range(256)) * 1000


class TinyHub(ThreadingHTTPServer):
    """Serves the files of one repository, `a/b`, and remembers what was asked for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: TinyHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, body: bool) -> None:
        path = self.path.split("?")[0]
        if path == "/":
            return self._send(200, b"hub", body)
        if path.startswith("/api/models/a/b/tree/"):
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": _etag(data)}
                for name, data in self.server.files.items()
            ]
            return self._send(200, json.dumps(tree).encode(), body)
        if path.startswith(("/api/models/a/b/revision/", "/api/models/a/b")):
            info = {"id": "a/b", "sha": REVISION, "siblings": []}
            return self._send(200, json.dumps(info).encode(), body)
        name = path.rsplit("/", 1)[-1]
        if not path.startswith("/a/b/resolve/") or name not in self.server.files:
            return self._send(404, b"", body)
        if body:
            self.server.asked.append(name)
        return self._send(200, self.server.files[name], body)

    def _send(self, status: int, data: bytes, body: bool) -> None:
        self.send_response(status)
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("ETag", f'"{_etag(data)}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)


def _etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyHub]:
    from huggingface_hub import constants

    directory = write_tiny_directory("starcoder2", tmp_path / "model")
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    server = TinyHub(files | {"x.gguf": GGUF, "pytorch_model.bin": b"a pickle"})
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        endpoint + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_gguf_file_is_downloaded_with_progress_and_its_hash_checked(
    server: TinyHub, tmp_path: Path
) -> None:
    seen: list[tuple[str, int, int]] = []
    sha256 = hashlib.sha256(GGUF).hexdigest()
    source = HubSource("a/b", REVISION, "x.gguf")
    path = hub.fetch(source, sha256, tmp_path / "work", lambda *at: seen.append(at))
    assert path == tmp_path / "work" / "x.gguf" and path.read_bytes() == GGUF
    assert ("download", len(GGUF), len(GGUF)) in seen and seen[-1][0] == "verify"
    assert server.asked == ["x.gguf"]


def test_a_gguf_file_with_another_hash_is_refused_and_deleted(
    server: TinyHub, tmp_path: Path
) -> None:
    with pytest.raises(ChecksumError, match="deleted"):
        hub.fetch(HubSource("a/b", REVISION, "x.gguf"), "0" * 64, tmp_path / "work", silent)
    assert not (tmp_path / "work" / "x.gguf").exists()


def test_a_repository_is_downloaded_without_its_pickles(server: TinyHub, tmp_path: Path) -> None:
    snapshot = hub.fetch(HubSource("a/b"), None, tmp_path / "work", silent)
    assert missing_files(snapshot) == []
    assert hub.cached(HubSource("a/b")) == snapshot
    assert "pytorch_model.bin" not in server.asked and "x.gguf" not in server.asked


def test_a_repository_of_pickles_is_refused(server: TinyHub, tmp_path: Path) -> None:
    del server.files["model.safetensors"]
    with pytest.raises(SourceError, match=r"no model\.safetensors.*never pickled"):
        hub.fetch(HubSource("a/b"), None, tmp_path / "work", silent)


def test_what_the_callback_raises_comes_through(server: TinyHub, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def progress(stage: str, done: int, total: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        hub.fetch(HubSource("a/b", REVISION, "x.gguf"), None, tmp_path / "work", progress)


def test_a_missing_file_is_an_error_in_the_hubs_words(server: TinyHub, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="404"):
        hub.fetch(HubSource("a/b", REVISION, "none.gguf"), None, tmp_path / "work", silent)
