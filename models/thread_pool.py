"""Makes oneTBB known to numba, if it is installed: threads that take over each other's work.

A pass has a hundred barriers. Where another process keeps a core busy, OpenMP's threads wait at
each of them for the one that does not run, and a pass takes ten times as long and more; with oneTBB
whoever runs does the work (docs/measurements.md). numba looks for the library where the system's
loader does, which knows nothing of a virtual environment.
"""

from __future__ import annotations

import ctypes
import logging
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

logger = logging.getLogger(__name__)

_NAMES = frozenset({"libtbb.so.12", "tbb12.dll", "libtbb.12.dylib"})


def prefer_work_stealing() -> bool:
    """Load oneTBB into the process before numba starts its threads; whether that worked."""
    try:
        listed = files("tbb") or []
    except PackageNotFoundError:
        return False
    for file in listed:
        if file.name in _NAMES:
            try:
                ctypes.CDLL(str(Path(str(file.locate())).resolve()), mode=ctypes.RTLD_GLOBAL)
            except OSError as error:
                logger.info("oneTBB does not load: %s", error)
                return False
            return True
    return False
