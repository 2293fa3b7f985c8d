"""Models from the Hugging Face hub: safetensors and GGUF with their configuration, never pickles.

The hub library retries an unreachable hub for most of a minute; one short request beforehand
settles whether it can be reached, so that the next source gets its turn at once.
"""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

from polydraft.models.errors import ChecksumError, SourceError
from polydraft.models.manifest import sha256_of
from polydraft.models.model_files import missing_files
from polydraft.models.progress import Progress
from polydraft.models.spec import HubSource

_ALLOWED = ["*.safetensors", "*.safetensors.index.json", "config.json", "tokenizer*.json"]
_PROBE_S = 5.0


def cached(source: HubSource) -> Path | None:
    """The snapshot directory or the GGUF file, if the hub's cache holds it complete. No network."""
    from huggingface_hub import hf_hub_download, snapshot_download

    try:
        if source.file is not None:
            return Path(
                hf_hub_download(
                    source.repo, source.file, revision=source.revision, local_files_only=True
                )
            )
        snapshot = Path(
            snapshot_download(
                source.repo,
                revision=source.revision,
                allow_patterns=_ALLOWED,
                local_files_only=True,
            )
        )
    except (OSError, ValueError):  # the hub's errors for what is not there or not complete
        return None
    return None if missing_files(snapshot) else snapshot


def fetch(source: HubSource, sha256: str | None, directory: Path, progress: Progress) -> Path:
    """The snapshot directory, or the GGUF file (in the hub's cache or below `directory`).

    `SourceError` if the hub cannot deliver, `ChecksumError` if the file is not the pinned one (it
    is deleted if it lies in `directory`, and left alone in the hub's cache).
    """
    path = cached(source)
    if path is None:
        _require_reachable()
        path = _download(source, directory, progress)
    if source.file is None:
        if missing := missing_files(path):
            raise SourceError(
                f"{source.repo} has no {', '.join(missing)}: polydraft loads safetensors with a"
                " tokenizer.json, and never pickled weights."
            )
        return path
    if sha256 is not None and (actual := sha256_of(path, progress)) != sha256:
        deleted = path.is_relative_to(directory)
        if deleted:
            path.unlink()
        raise ChecksumError(
            f"{source.file} has sha256 {actual} instead of {sha256}"
            + ("; deleted." if deleted else f"; delete {path} and try again.")
        )
    return path


def _require_reachable() -> None:
    from huggingface_hub import constants, get_session, is_offline_mode

    if is_offline_mode():
        raise SourceError("not in the hub's cache, and HF_HUB_OFFLINE forbids a download.")
    failure: list[str] = []

    def probe() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=_PROBE_S)
        except Exception as error:
            failure.append(f"{type(error).__name__}: {error}")

    # On a thread, because a name server that does not answer is not covered by the timeout.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(_PROBE_S + 1)
    if thread.is_alive() or failure:
        reason = failure[0] if failure else "no answer"
        raise SourceError(f"{constants.ENDPOINT} cannot be reached ({reason}).")


def _download(source: HubSource, directory: Path, progress: Progress) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download

    raised: list[BaseException] = []

    def report(stage: str, done: int, total: int) -> None:
        try:
            progress(stage, done, total)
        except BaseException as error:
            raised.append(error)
            raise

    bar = _bar(report)
    try:
        if source.file is not None:
            return Path(
                hf_hub_download(
                    source.repo,
                    source.file,
                    revision=source.revision,
                    local_dir=directory,
                    tqdm_class=bar,
                )
            )
        return Path(
            snapshot_download(
                source.repo, revision=source.revision, allow_patterns=_ALLOWED, tqdm_class=bar
            )
        )
    except Exception as error:  # the hub's own, its HTTP client's, the disk's
        if raised:
            raise raised[0] from None  # the callback wants the work to stop
        raise SourceError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else 'no message'}"


def _bar(progress: Progress) -> type[Any]:
    """A progress bar class for the hub library that draws nothing and calls `progress`."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **(kwargs | {"file": io.StringIO(), "disable": False}))

        def update(self, n: float | None = 1) -> None:
            super().update(n)
            if self.unit == "B":
                progress("download", int(self.n), int(self.total or 0))

    return Bar
