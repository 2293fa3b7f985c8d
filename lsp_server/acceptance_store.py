"""The outcomes of drafts in an SQLite file of the user's: numbers and names of models, no text.

    <data>/acceptance.sqlite3    <data>: the user's data directory, or POLYDRAFT_STATE

Several servers may write at once. Nobody but the user may read it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from polydraft.lsp_server.acceptance import About, Outcome

logger = logging.getLogger(__name__)

_VERSION = 1
_WAIT_S = 5.0  # for another process that writes
_TABLE = """
CREATE TABLE IF NOT EXISTS outcomes (
    at REAL NOT NULL, model TEXT NOT NULL, large TEXT NOT NULL, drafter TEXT NOT NULL,
    language TEXT NOT NULL, shown_ms INTEGER NOT NULL, characters INTEGER NOT NULL,
    taken INTEGER NOT NULL, kept_30s INTEGER, kept_5min INTEGER
)
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """An outcome and when it was written (seconds since 1970)."""

    at: float
    outcome: Outcome


def store_path() -> Path:
    own = os.environ.get("POLYDRAFT_STATE")
    folder = Path(own).expanduser() if own else Path(platformdirs.user_data_dir("polydraft"))
    return folder / "acceptance.sqlite3"


class AcceptanceStore:
    """Raises `OSError` and `sqlite3.Error`; a damaged file is moved aside."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, outcome: Outcome, at: float) -> None:
        about = outcome.about
        names = (about.model, about.large, about.drafter, about.language)
        row = (at, *names, outcome.shown_ms, outcome.characters, outcome.taken, *outcome.kept)
        try:
            self._insert(row)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # locked, or the disk is full
                raise
            aside = self.path.with_name(f"{self.path.name}.damaged-{int(at)}")
            self.path.replace(aside)
            logger.warning("%s is damaged and was moved to %s", self.path, aside)
            self._insert(row)

    def read(self, since: float = 0.0) -> list[Stored]:
        """All since a time, the oldest first; none if there is no file."""
        if not self.path.exists():
            return []
        with self._opened() as connection:
            rows = connection.execute("SELECT * FROM outcomes WHERE at >= ? ORDER BY at", (since,))
            return [
                Stored(at, Outcome(About(*about), shown, characters, taken, (early, late)))
                for at, *about, shown, characters, taken, early, late in rows
            ]

    def clear(self) -> bool:
        """Delete the file; whether there was one."""
        found = self.path.exists()
        self.path.unlink(missing_ok=True)
        return found

    def _insert(self, row: tuple[object, ...]) -> None:
        with self._opened() as connection, connection:
            connection.execute(f"INSERT INTO outcomes VALUES ({', '.join('?' * len(row))})", row)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        with closing(sqlite3.connect(self.path, timeout=_WAIT_S)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError(f"{self.path} is of another version ({version})")
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
            yield connection


class Recorder:
    """Writes on a thread of its own, so that no disk holds up the editor."""

    def __init__(self, store: AcceptanceStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, "polydraft-acceptance")

    def add(self, outcome: Outcome) -> None:
        self._thread.submit(self._add, outcome, time.time())

    def close(self) -> None:
        """Wait until all is written."""
        self._thread.shutdown()

    def _add(self, outcome: Outcome, at: float) -> None:
        try:
            self._store.add(outcome, at)
        except (OSError, sqlite3.Error) as error:
            logger.warning("an outcome could not be kept: %s", error)
