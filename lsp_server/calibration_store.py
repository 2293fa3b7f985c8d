"""What calibration keeps of a workspace, outside of it, readable for the user alone.

    <state>/workspaces/KEY/       KEY is a hash of the workspace's path
        records.jsonl             measured points, a line each; no text of the files
        calibration.json          the thresholds that were chosen, and what is known of them
        calibration.svg           quality against cost

<state> is the environment variable POLYDRAFT_STATE, else the user's state directory.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs

from polydraft.lsp_server.calibration import Measured, Record
from polydraft.lsp_server.failures import CommandError
from polydraft.lsp_server.setting_rules import POLICIES, THRESHOLDS
from polydraft.lsp_server.settings import Layer, Settings

logger = logging.getLogger(__name__)

_LARGEST = 1 << 20  # bytes of calibration.json


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds and what they were measured with; `facts` is all of calibration.json."""

    small: str
    large: str
    policy: str
    thresholds: Mapping[str, float]
    facts: Mapping[str, Any]


def state_root() -> Path:
    own = os.environ.get("POLYDRAFT_STATE")
    return Path(own).expanduser() if own else Path(platformdirs.user_state_dir("polydraft"))


class CalibrationStore:
    """The folder of one workspace. Reading never fails; writing raises `CommandError`."""

    def __init__(self, root: Path) -> None:
        path = os.path.realpath(root).encode("utf-8", "surrogateescape")
        self.folder = state_root() / "workspaces" / hashlib.sha256(path).hexdigest()[:24]
        self.file = self.folder / "calibration.json"
        self.picture = self.folder / "calibration.svg"
        self._records = self.folder / "records.jsonl"

    def read(self) -> Calibration | None:
        """None if there is none, or if it is not what is written here."""
        try:
            if not self.file.is_file() or self.file.stat().st_size > _LARGEST:
                return None
            return _parsed(json.loads(self.file.read_text(encoding="utf-8")))
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            logger.warning("%s cannot be used: %s", self.file, error)
            return None

    def write(self, facts: Mapping[str, Any]) -> None:
        """Whole or not at all."""
        try:
            self._make()
            descriptor, part = tempfile.mkstemp(dir=self.folder, suffix=".part")  # mode 0600
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(facts, file, ensure_ascii=False, indent=2, allow_nan=False)
            os.replace(part, self.file)
        except OSError as error:
            raise self._unwritable(error) from error

    def records(self, key: str) -> dict[str, Record]:
        """Point -> record, of those that were measured in the same way."""
        return dict(self._read_records(key))

    def _read_records(self, key: str) -> Iterator[tuple[str, Record]]:
        try:
            lines = self._records.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return
        for line in lines:
            try:
                entry = json.loads(line)
                if entry["key"] == key:
                    found = entry["settings"].items()
                    yield entry["point"], {name: Measured(**each) for name, each in found}
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # the last line of a run that was killed

    def append(self, key: str, point: str, record: Record) -> None:
        settings = {name: asdict(each) for name, each in record.items()}
        self._append(json.dumps({"key": key, "point": point, "settings": settings}) + "\n")

    def require_writable(self) -> None:
        """Raises `CommandError` before anything is measured in vain."""
        self._append("")

    def reset(self) -> bool:
        """Whether there was anything to delete."""
        if not self.folder.is_dir():
            return False
        try:
            shutil.rmtree(self.folder)
        except OSError as error:
            raise self._unwritable(error) from error
        return True

    def _append(self, text: str) -> None:
        try:
            self._make()
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
            with os.fdopen(os.open(self._records, flags, 0o600), "ab+") as file:
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":  # a run was killed in the middle of a line
                        file.write(b"\n")
                file.write(text.encode())
        except OSError as error:
            raise self._unwritable(error) from error

    def _make(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _unwritable(self, error: OSError) -> CommandError:
        return CommandError(
            f"{self.folder}, where calibration keeps what it measures, cannot be written"
            f" ({error.strerror}). The environment variable POLYDRAFT_STATE can put it elsewhere."
        )


def calibrated(root: Path | None, settings: Settings) -> Layer:
    """The layer of settings that a workspace's calibration makes, below all that others say."""
    found = None if root is None else CalibrationStore(root).read()
    if found is None or unused_because(found, settings):
        return {}
    return {"thresholds": found.thresholds}


def unused_because(found: Calibration, settings: Settings) -> str:
    """Why a calibration does not hold under these settings; empty if it does.

    It holds for the models and the policy that it was measured with. Its thresholds belong
    together: if one of them is set otherwise, none is used.
    """
    asked = {"model": found.small, "large": found.large, "policy": found.policy}
    differ = [f'{key} = "{name}"' for key, name in asked.items() if getattr(settings, key) != name]
    if differ:
        return f"it is for {', '.join(differ)}"
    said = dict(settings.thresholds)
    other = [key for key, value in found.thresholds.items() if said.get(key, value) != value]
    return f"the settings name {', '.join(other)} otherwise" if other else ""


def _parsed(facts: Any) -> Calibration:
    thresholds = facts["thresholds"]
    if facts["policy"] not in POLICIES:
        raise ValueError(f"unknown policy {facts['policy']!r}")
    for name, value in thresholds.items():
        if not THRESHOLDS[name].accepts(value):
            raise ValueError(f"{name} must be {THRESHOLDS[name].expects}")
    names = facts["small"]["name"], facts["large"]["name"]
    return Calibration(str(names[0]), str(names[1]), facts["policy"], thresholds, facts)
