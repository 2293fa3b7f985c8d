"""Pictures as SVG files, where matplotlib is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polydraft.lsp_server.failures import CommandError


def pyplot() -> Any | None:
    """matplotlib's pyplot, set up for equal files from equal data; None without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return None
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "polydraft"
    from matplotlib import pyplot

    return pyplot


def save(plots: Any, figure: Any, target: Path) -> None:
    """Write a figure of `pyplot()` and let go of it; `CommandError` if it cannot be written."""
    figure.tight_layout()
    try:
        figure.savefig(target, format="svg", metadata={"Date": None})
    except OSError as error:
        raise CommandError(f"{target} cannot be written ({error.strerror}).") from error
    finally:
        plots.close(figure)
