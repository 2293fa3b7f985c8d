"""Which files may be read into a prompt or an index.

Excluded are: what git ignores (`.gitignore` at any depth, `.git/info/exclude`), what
`.polydraftignore` files name (same syntax, at any depth), files that usually hold secrets,
binary files, anything that is not a plain file, and paths that leave the workspace, through a
symbolic link or not. No ignore file can take a secret back in.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

# Names, matched without regard to case.
_SECRET_FILES = (
    *(".env", ".env.*", "*.env", ".envrc", "*.pem", "*.key", "*.p12", "*.pfx", "*.pkcs12", "*.ppk"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", "_netrc", ".npmrc", ".pypirc"),
    *(".yarnrc.yml", ".git-credentials", ".gitconfig", "credentials*", "*credentials.json"),
    *("secrets", "secrets.*", ".secrets*", "*.secrets", "client_secret*", "service-account*.json"),
    *("service_account*.json", "*.kdbx", "*.keystore", "*.jks", "*.tfstate", "*.tfstate.*"),
    *("*.tfvars", "*.tfvars.json", "kubeconfig*", "*.kubeconfig", ".htpasswd", ".pgpass"),
    *(".my.cnf", ".dockercfg", ".vault-token", ".vault_pass*", "*.ovpn", "*_history", "*.asc"),
    *("*.gpg", "master.key", ".terraformrc", "terraform.rc", ".s3cfg", ".boto"),
)
# Written to be committed: they hold the names of settings, not the values.
_NOT_SECRET = (".env.example", ".env.sample", ".env.template", ".env.dist", ".env.defaults")
_SECRET_FOLDERS = frozenset({".aws", ".ssh", ".gnupg", ".kube", ".azure", ".gcloud", ".terraform"})
_SECRET_PATHS = ((".docker", "config.json"), (".config", "gh"), (".config", "gcloud"))
_BINARY = frozenset(
    {"7z", "a", "avi", "bin", "bmp", "bz2", "class", "db", "dll", "dylib", "eot", "exe"}
    | {"flac", "gguf", "gif", "gz", "ico", "jar", "jpeg", "jpg", "lib", "mkv", "mov", "mp3"}
    | {"mp4", "npy", "npz", "o", "obj", "onnx", "otf", "pdf", "pkl", "png", "pt", "pyc", "pyd"}
    | {"rar", "safetensors", "so", "sqlite", "sqlite3", "tar", "tiff", "ttf", "wasm", "wav"}
    | {"webm", "webp", "whl", "woff", "woff2", "xls", "xlsx", "xz", "zip", "zst"}
)
_SNIFFED = 8192  # bytes of a file looked at for a NUL
_LARGEST_IGNORE_FILE = 1_000_000  # bytes
_IGNORE_FILES = (".gitignore", ".polydraftignore")

_SECRET = re.compile("|".join(fnmatch.translate(name) for name in _SECRET_FILES))


def is_secret(path: Path) -> bool:
    """Whether `path` is, by its name or its folders, one that usually holds secrets."""
    parts = tuple(part.lower() for part in path.parts)
    if not parts:
        return False
    if _SECRET.match(parts[-1]) and parts[-1] not in _NOT_SECRET:
        return True
    if not _SECRET_FOLDERS.isdisjoint(parts):
        return True
    return any(pair in _SECRET_PATHS for pair in zip(parts, parts[1:], strict=False))


class IgnoreRules:
    """The rules of one workspace. Ignore files are read again when they change."""

    def __init__(self, root: Path | None) -> None:
        """`root`: the workspace's folder; None: no workspace, only secrets and binaries count."""
        self._root = None if root is None else Path(os.path.abspath(root))
        self._real_root = None if root is None else Path(os.path.realpath(root))
        self._top = None if self._root is None else _git_top(self._root)
        self._specs: dict[Path, tuple[tuple[int, int], GitIgnoreSpec | None]] = {}
        self._sniffed: dict[Path, tuple[tuple[int, int], bool]] = {}

    def is_excluded(self, path: Path) -> bool:
        """Whether `path` must not be read: true also for all outside of the workspace."""
        if "\0" in str(path):
            return True
        lexical = Path(os.path.abspath(path))
        real = Path(os.path.realpath(path))
        if is_secret(lexical) or is_secret(real) or self._is_unreadable(real):
            return True
        if self._root is None or self._real_root is None:
            return False
        inside = lexical.is_relative_to(self._root) or lexical.is_relative_to(self._real_root)
        if not inside or not real.is_relative_to(self._real_root):
            return True
        if lexical.is_relative_to(self._root) and self._is_ignored(lexical):
            return True
        return self._is_ignored(self._root / real.relative_to(self._real_root))

    def _is_unreadable(self, path: Path) -> bool:
        """Whether `path` is there, but binary or no plain file (nor a folder)."""
        if path.suffix[1:].lower() in _BINARY:
            return True
        try:
            status = path.stat()
        except FileNotFoundError:
            return False  # not saved yet
        except (OSError, ValueError):
            return True
        if stat.S_ISDIR(status.st_mode):
            return False
        if not stat.S_ISREG(status.st_mode):
            return True
        stamp = (status.st_mtime_ns, status.st_size)
        known = self._sniffed.get(path)
        if known is None or known[0] != stamp:
            if len(self._sniffed) > 10_000:
                self._sniffed.clear()
            known = self._sniffed[path] = (stamp, _holds_nul(path))
        return known[1]

    def _is_ignored(self, path: Path) -> bool:
        """Whether git's or our own ignore files name `path` or a folder above it."""
        assert self._top is not None
        parts = path.relative_to(self._top).parts
        for depth in range(1, len(parts) + 1):
            folder = depth < len(parts) or os.path.isdir(path)
            if parts[depth - 1] == ".git":
                return True
            for name in _IGNORE_FILES:
                if self._names(name, parts[:depth], folder):
                    return True
        return False

    def _names(self, ignore_file: str, parts: tuple[str, ...], folder: bool) -> bool:
        """Git's verdict on one path: the last pattern that matches, deeper files last."""
        assert self._top is not None
        verdict = False
        for base, spec in self._specs_above(ignore_file, parts):
            name = "/".join(parts[base:]) + ("/" if folder else "")
            found = spec.check_file(name).include
            verdict = verdict if found is None else found
        return verdict

    def _specs_above(
        self, ignore_file: str, parts: tuple[str, ...]
    ) -> Iterator[tuple[int, GitIgnoreSpec]]:
        """The ignore files that apply to a path, outermost first, with their folder's depth."""
        assert self._top is not None
        if ignore_file == ".gitignore":
            spec = self._spec(self._top / ".git" / "info" / "exclude")
            if spec is not None:
                yield 0, spec
        for base in range(len(parts)):
            spec = self._spec(self._top.joinpath(*parts[:base], ignore_file))
            if spec is not None:
                yield base, spec

    def _spec(self, path: Path) -> GitIgnoreSpec | None:
        try:
            status = path.stat()
        except (OSError, ValueError):
            return None
        stamp = (status.st_mtime_ns, status.st_size)
        known = self._specs.get(path)
        if known is None or known[0] != stamp:
            known = self._specs[path] = (stamp, _read_spec(path, status))
        return known[1]


def _read_spec(path: Path, status: os.stat_result) -> GitIgnoreSpec | None:
    if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_IGNORE_FILE:
        return None
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None
    lines = text.splitlines()
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:  # git skips a pattern it cannot read
        return GitIgnoreSpec.from_lines(line for line in lines if _is_pattern(line))


def _is_pattern(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def _holds_nul(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"\0" in file.read(_SNIFFED)
    except OSError:
        return True


def _git_top(root: Path) -> Path:
    """The folder of the git checkout that `root` lies in, whose ignore files apply; else `root`."""
    for folder in (root, *root.parents):
        if os.path.exists(folder / ".git"):
            return folder
    return root
