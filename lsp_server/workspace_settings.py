"""The settings that hold for one client, kept true while their sources change.

Only the editor can say that a workspace is trusted, and only when it connects
(`initializationOptions.trusted`): a setting can come from the workspace itself.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from polydraft.lsp_server.settings import (
    FILE_NAME,
    Layer,
    Parsed,
    Settings,
    merged,
    parse,
    read_file,
    without_untrusted_model,
)

logger = logging.getLogger(__name__)

_OPTIONS_ONLY = frozenset({"trusted", "stream", "calls"})


class WorkspaceSettings:
    """`current` is what holds; each method that may change it returns new problems for the user."""

    def __init__(self, is_ready: Callable[[str], bool]) -> None:
        self.current = Settings()
        self.trusted = False
        self.stream = False
        self.calls = False
        self.watched = False  # the editor reports changes of the file
        self.fixed: Layer = {}  # values that stand over all others, e.g. the command line's
        self._is_ready = is_ready
        self._file: Path | None = None
        self._signature: tuple[int, int, int] | None = None
        self._options = Parsed()
        self._editor = Parsed()
        self._from_file = Parsed()
        self._told: frozenset[str] = frozenset()

    @property
    def file(self) -> Path | None:
        """Where `polydraft.toml` would be; None without a workspace."""
        return self._file

    def initialize(self, root: Path | None, options: object) -> tuple[str, ...]:
        """Take `initializationOptions` and read the workspace's file."""
        problems: list[str] = []
        if isinstance(options, Mapping):
            for name in sorted(_OPTIONS_ONLY & options.keys()):
                if isinstance(options[name], bool):
                    setattr(self, name, options[name])
                else:
                    problems.append(f'initializationOptions: "{name}" must be true or false.')
            options = {key: value for key, value in options.items() if key not in _OPTIONS_ONLY}
        self._options = parse(options, "initializationOptions")
        self._file = root / FILE_NAME if root is not None else None
        return (*problems, *self.reread())

    def configure(self, raw: object) -> tuple[str, ...]:
        """Take the editor's `polydraft` section; it stands over `initializationOptions`."""
        self._editor = parse(raw, "settings")
        return self._merge()

    def poll(self) -> tuple[str, ...]:
        """Read the file again if it changed; costs one `stat`."""
        if self.watched or self._file is None or _signature(self._file) == self._signature:
            return ()
        return self.reread()

    def reread(self) -> tuple[str, ...]:
        if self._file is not None:
            self._signature = _signature(self._file)
            self._from_file = read_file(self._file)
        return self._merge()

    def _merge(self) -> tuple[str, ...]:
        from_editor = [self.fixed, self._editor.values, self._options.values]
        from_file = self._from_file
        if not self.trusted:
            base = merged(from_editor).model_settings
            from_file = without_untrusted_model(from_file, base, self._is_here)
        self.current = merged([*from_editor, from_file.values])
        problems = (*self._options.problems, *self._editor.problems, *from_file.problems)
        new = tuple(problem for problem in problems if problem not in self._told)
        self._told = frozenset(problems)
        return new

    def _is_here(self, name: str) -> bool:
        """Whether a model is in the cache; one that nobody has heard of is not."""
        try:
            return self._is_ready(name)
        except Exception:
            logger.info("no model of the name %r is known", name, exc_info=True)
            return False


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
