"""What can go wrong between a model's name and a directory that loads.

Each message says what is wrong and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class ModelError(Exception):
    """Base of all errors about model files: show its text to the user as it is."""


class RegistryError(ModelError):
    """A registry file is wrong: names the file and the key."""


class UnknownModelError(ModelError):
    """No model of that name."""


class SourceError(ModelError):
    """One source could not deliver; the next one is tried."""


class ChecksumError(SourceError):
    """What a source delivered is not what the registry pins; it was deleted."""


class NoSourceError(ModelError):
    """Every source failed."""

    def __init__(self, name: str, failures: Sequence[tuple[str, str]]) -> None:
        self.failures = tuple(failures)
        lines = [f"Could not get the model {name!r}. Tried, in this order:"]
        lines += [f"  - {source}: {reason}" for source, reason in failures]
        lines.append(
            "What to do: fix one of these (a connection, a proxy, pip's index settings) and try"
            f" again with `polydraft models pull {name}`, or point to files that you have: a"
            " directory with config.json, *.safetensors and tokenizer.json, or a .gguf file."
        )
        super().__init__("\n".join(lines))


class DiskSpaceError(ModelError):
    """Not enough free space; raised before anything is downloaded or written."""

    def __init__(self, directory: Path, needed: int, free: int) -> None:
        super().__init__(
            f"Not enough disk space in {directory}: {needed / 1e9:.1f} GB needed,"
            f" {free / 1e9:.1f} GB free. Free some space, or put the cache elsewhere with the"
            " environment variable POLYDRAFT_CACHE."
        )


class OutOfMemoryError(ModelError, MemoryError):
    """Models do not fit into memory; raised before they are loaded. Says what would fit.

    A `MemoryError` too, so that who catches these may drop what is not used and try again.
    """


class PairError(ModelError):
    """Two models cannot work as a pair; `token_id` is the first id that they disagree about, None
    if it is not for their tokenizers."""

    def __init__(self, text: str, token_id: int | None = None) -> None:
        super().__init__(text)
        self.token_id = token_id


class ConversionError(ModelError):
    """A GGUF file that cannot be turned into a loadable directory."""


class CorruptModelError(ModelError):
    """A cached model does not match its manifest."""

    def __init__(self, name: str, directory: Path, reason: str) -> None:
        super().__init__(
            f"The cached model {name!r} in {directory} is damaged: {reason}."
            f" Fetch it anew with `polydraft models pull {name} --force`."
        )
