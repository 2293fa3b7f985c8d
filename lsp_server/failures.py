"""How the command line fails: a readable paragraph, an exit code, and JSON where that is wanted.

Exit codes: 0 done, 1 the command failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer

FAILED, USAGE, INTERRUPTED = 1, 2, 130


class CommandError(Exception):
    """The command cannot do what was asked; the text says why and what to do."""


class UsageError(CommandError):
    """The command was called wrongly."""


def debugging() -> bool:
    """Whether the user wants tracebacks (environment variable POLYDRAFT_DEBUG=1)."""
    return os.environ.get("POLYDRAFT_DEBUG", "") not in ("", "0")


@contextmanager
def failures(schema: str | None = None) -> Iterator[None]:
    """Turn what a command raises into a message and an exit code.

    `schema`: report errors as JSON of this schema on standard output instead of as text on
    standard error.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except KeyboardInterrupt as stop:  # its text, if any, says what was kept
        _end(f"Interrupted. {stop}".strip(), INTERRUPTED, schema)
    except BrokenPipeError:  # whoever read the output has enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (Python flushes it at exit)
        raise typer.Exit(FAILED) from None
    except Exception as error:
        if debugging():
            raise
        code = USAGE if isinstance(error, UsageError) else FAILED
        _end(explain(error), code, schema)


def explain(error: Exception) -> str:
    """An exception as a text for the user."""
    from polydraft.models.cache_dir import cache_root
    from polydraft.models.errors import ModelError
    from polydraft.monitors.analysis import AnalyserError

    if isinstance(error, CommandError | ModelError | AnalyserError):
        return str(error)
    if isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}." if error.filename else f"{error}."
        if error.filename and Path(os.fsdecode(error.filename)).is_relative_to(cache_root()):
            text += " The environment variable POLYDRAFT_CACHE can put the cache elsewhere."
        return text
    return (
        f"Something went wrong that should not have ({type(error).__name__}: {error}). Set"
        " POLYDRAFT_DEBUG=1 to see where, and report it."
    )


def error_json(schema: str, message: str) -> str:
    return json.dumps({"schema": schema, "error": {"message": message}}, ensure_ascii=False)


def _end(message: str, code: int, schema: str | None) -> NoReturn:
    if schema is not None:
        print(error_json(schema, message), flush=True)
    else:
        print(f"polydraft: {message}", file=sys.stderr, flush=True)
    raise typer.Exit(code) from None
