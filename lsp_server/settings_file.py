"""`polydraft.toml` at the root of a workspace folder: how it is read, and what it may say.

The file belongs to whoever wrote the workspace, so unless the editor says that the workspace is
trusted it may choose among the models that are already here, but neither name a path nor cause a
download.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

from polydraft.lsp_server.settings import FILE_NAME, NO_MODEL, PRIVATE, Parsed, Settings, parse

_LARGEST_FILE = 64 * 1024
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MODEL_KEYS = (("model", "device"), ("large", "large_device"))


def read_file(path: Path, source: str = FILE_NAME) -> Parsed:
    """Read a settings file, called `source` in messages; a missing one sets nothing, a broken one
    is a problem."""
    try:
        if not path.is_file():
            return Parsed()
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            return Parsed(problems=(f"{source}: larger than 64 KiB, so it is not read.",))
        return _without_private(parse(tomllib.loads(content.decode("utf-8")), source), source)
    except OSError as error:
        reason = error.strerror or str(error)
        return Parsed(problems=(f"{source}: cannot be read ({reason}); the defaults are used.",))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        return Parsed(problems=(f"{source}: not valid TOML ({error}); the defaults are used.",))


def _without_private(parsed: Parsed, source: str) -> Parsed:
    """What a workspace may decide: the user's own matters are left out."""
    problems = tuple(
        f'{source}: "{name}" is ignored: it is set in your editor\'s own settings only.'
        for name in PRIVATE & parsed.values.keys()
    )
    values = {name: value for name, value in parsed.values.items() if name not in PRIVATE}
    return Parsed(values, (*parsed.problems, *problems))


def without_untrusted_models(
    parsed: Parsed, base: Settings, is_ready: Callable[[str], bool], source: str = FILE_NAME
) -> Parsed:
    """What an untrusted workspace's file may set: no model or device, save for models at hand.

    `base` is what holds without the file; `is_ready(name)` says whether a registered model is
    already in the cache.
    """
    values, problems = dict(parsed.values), list(parsed.problems)
    for keys in _MODEL_KEYS:
        name = str(values.get(keys[0], getattr(base, keys[0])))
        touched = [key for key in keys if key in values]
        none = keys[0] == "large" and name == NO_MODEL
        if not touched or none or (_PLAIN_NAME.fullmatch(name) and is_ready(name)):
            continue
        for key in touched:
            del values[key]
        shown = " and ".join(f'"{key}"' for key in touched)
        problems.append(
            f'{source}: {shown} ignored, since this workspace is not trusted and model "{name}" '
            "is not in the cache. Trust the workspace in your editor, or choose the model in your "
            "editor's own settings."
        )
    return Parsed(values, tuple(problems))
