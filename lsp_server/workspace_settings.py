"""The settings that hold in one workspace folder, kept true while their sources change."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from polydraft.lsp_server.calibration_store import calibrated
from polydraft.lsp_server.client_options import ClientOptions
from polydraft.lsp_server.settings import FILE_NAME, Layer, Parsed, Settings, merged, parse
from polydraft.lsp_server.settings_file import read_file, without_untrusted_models

logger = logging.getLogger(__name__)


class WorkspaceSettings:
    """`current` is what holds and `problems` what is wrong; `reread` first brings both about.

    From the strongest on: `fixed` (e.g. the command line's), the editor's, the client's options,
    the folder's file, what was measured in the folder (`polydraft calibrate`), the defaults.
    """

    def __init__(
        self,
        is_ready: Callable[[str], bool],
        root: Path | None = None,
        options: ClientOptions | None = None,
        fixed: Layer | None = None,
    ) -> None:
        self.current = Settings()
        self.problems: tuple[str, ...] = ()
        self._root = root
        self.file = root / FILE_NAME if root is not None else None  # it need not exist
        self._source = f"{root.name}/{FILE_NAME}" if root is not None else FILE_NAME
        self._is_ready = is_ready
        self._options = options or ClientOptions()
        self._fixed = fixed or {}
        self._signature: tuple[int, int, int] | None = None
        self._editor = Parsed()
        self._from_file = Parsed()

    def configure(self, raw: object) -> None:
        """Take the editor's `polydraft` section; it stands over `initializationOptions`."""
        self._editor = parse(raw, "settings")
        self._merge()

    def poll(self) -> None:
        """Read the file again if it changed; costs one `stat`."""
        if self.file is not None and _signature(self.file) != self._signature:
            self.reread()

    def reread(self) -> None:
        if self.file is not None:
            self._signature = _signature(self.file)
            self._from_file = read_file(self.file, self._source)
        self._merge()

    def _merge(self) -> None:
        options = self._options.settings
        from_editor = [self._fixed, self._editor.values, options.values]
        from_file = self._from_file
        if not self._options.trusted:
            base = merged(from_editor)
            from_file = without_untrusted_models(from_file, base, self._is_here, self._source)
        said = [*from_editor, from_file.values]
        self.current = merged([*said, calibrated(self._root, merged(said))])
        self.problems = (*options.problems, *self._editor.problems, *from_file.problems)
        if conflict := _conflict(self.current):
            self.current = replace(self.current, thresholds=())
            self.problems += (f"thresholds: {conflict}. The defaults are used.",)

    def _is_here(self, name: str) -> bool:
        """Whether a model is in the cache; one that nobody has heard of is not."""
        try:
            return self._is_ready(name)
        except Exception:
            logger.info("no model of the name %r is known", name, exc_info=True)
            return False


def _conflict(settings: Settings) -> str:
    """What is wrong with thresholds of which each alone is right."""
    if not settings.thresholds:
        return ""
    from polydraft.completion.switching import Thresholds  # which imports torch

    try:
        Thresholds(**dict[str, Any](settings.thresholds))
    except ValueError as error:
        return str(error)
    return ""


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
