"""The token ids of a workspace's files, kept between runs: only changed files are read again.

    <cache>/ngrams/KEY.npz    KEY is a hash of the workspace folder and the tokenizer
        names    [.] uint8     paths below the folder in UTF-8, each ended by a NUL
        stamps   [F, 2] int64  time (ns) and size of each file when it was read
        lengths  [F] int64     tokens of each file
        ids      [T] uint32    the tokens of all

No pickles. Nobody but the user may read the files, which are as private as the source code.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

MAX_BYTES = 256 << 20  # of the folder: about fifty workspaces of a million tokens
_FORMAT = 1

Stamp = tuple[int, int]  # a file's time (ns) and size


@dataclass(frozen=True, slots=True, eq=False)
class KnownText:
    stamp: Stamp
    ids: NDArray[np.uint32]  # [L]


def store_key(root: Path, tokenizer_id: str) -> str:
    facts = f"{_FORMAT}\n{os.path.realpath(root)}\n{tokenizer_id}"
    return hashlib.sha256(facts.encode("utf-8", "surrogateescape")).hexdigest()[:24]


class NGramStore:
    """A folder of such files, which grows to `max_bytes`; those used longest ago go first."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def load(self, key: str) -> dict[str, KnownText]:
        """The texts by their names; none if there are none or the file is damaged."""
        path = self._folder / f"{key}.npz"
        if not path.is_file():
            return {}
        try:
            texts = _read(path)
            os.utime(path)  # it is in use
        except (OSError, ValueError, KeyError, EOFError, MemoryError, zlib.error) as error:
            logger.warning("%s cannot be used and is made anew: %s", path, error)
            return {}
        except zipfile.BadZipFile as error:
            logger.warning("%s is damaged and is made anew: %s", path, error)
            return {}
        return texts

    def save(self, key: str, texts: Mapping[str, KnownText]) -> None:
        """Write the file whole or not at all; without space the next run reads all files again."""
        known = list(texts.values())
        names = b"".join(name.encode("utf-8", "surrogateescape") + b"\0" for name in texts)
        partial: Path | None = None
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, part = tempfile.mkstemp(dir=self._folder, suffix=".part")  # mode 0600
            partial = Path(part)
            with os.fdopen(descriptor, "wb") as file:
                np.savez(
                    file,
                    names=np.frombuffer(names, dtype=np.uint8),
                    stamps=np.array([each.stamp for each in known], dtype=np.int64).reshape(-1, 2),
                    lengths=np.array([len(each.ids) for each in known], dtype=np.int64),
                    ids=np.concatenate([np.empty(0, np.uint32), *(each.ids for each in known)]),
                )
            partial.replace(self._folder / f"{key}.npz")
            self._prune(key)
        except OSError as error:
            logger.warning("The workspace's tokens could not be kept: %s", error)
            if partial is not None:
                with contextlib.suppress(OSError):
                    partial.unlink(missing_ok=True)

    def _prune(self, kept: str) -> None:
        states = []
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):  # another process was faster
                status = path.stat()
                states.append((path.stem != kept, status.st_mtime_ns, status.st_size, path))
        total = 0
        for _, _, size, path in sorted(states, key=lambda state: (state[0], -state[1])):
            total += size
            if total > self._max_bytes and path.stem != kept:
                with contextlib.suppress(OSError):
                    path.unlink()


def _read(path: Path) -> dict[str, KnownText]:
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        spelled, stamps, lengths, ids = (file[k] for k in ("names", "stamps", "lengths", "ids"))
    if (spelled.dtype, stamps.dtype, lengths.dtype, ids.dtype) != (
        np.dtype(np.uint8), np.dtype(np.int64), np.dtype(np.int64), np.dtype(np.uint32),
    ):  # fmt: skip
        raise ValueError("its arrays have other types")
    names = spelled.tobytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
    if not (stamps.shape == (len(names), 2) and lengths.shape == (len(names),) and ids.ndim == 1):
        raise ValueError("its arrays do not fit together")
    if (lengths < 0).any() or lengths.sum() != len(ids):
        raise ValueError("its lengths do not add up")
    bounds = pairwise([0, *np.cumsum(lengths).tolist()])
    return {
        name: KnownText((time, size), ids[start:end])
        for name, (time, size), (start, end) in zip(names, stamps.tolist(), bounds, strict=True)
    }
