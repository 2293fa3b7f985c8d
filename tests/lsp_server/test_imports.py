"""Which files a source imports, and which names of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from polydraft.lsp_server.imports import imports


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def write(root: Path, name: str, text: str = "") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def found(root: Path, source: str, name: str) -> dict[str, tuple[str, ...]]:
    """Path -> names of what `source`, in the file `name`, imports."""
    each = imports(source, root / name, root)
    return {one.path.relative_to(root).as_posix(): one.names for one in each}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pkg.mod", ["pkg/mod.py"]),
        ("import os, pkg.mod as m, pkg", ["pkg/mod.py", "pkg/__init__.py"]),
        ("from pkg import mod", ["pkg/mod.py"]),
        ("from pkg.mod import (\n    f,\n    g as h,\n)", ["pkg/mod.py"]),
        ("from . import near", ["sub/near.py"]),
        ("from .near import x", ["sub/near.py"]),
        ("from ..pkg.mod import x", ["pkg/mod.py"]),
        ("import lib", ["src/lib.py"]),
        ("import near", ["sub/near.py"]),
        ("x = 'import pkg.mod'", []),
        ("from .......... import etc", []),
    ],
)
def test_python_imports(root: Path, source: str, found: list[str]) -> None:
    for name in ("pkg/__init__.py", "pkg/mod.py", "sub/near.py", "src/lib.py"):
        write(root, name)
    files = imports(source, root / "sub" / "main.py", root)
    assert [each.path.relative_to(root).as_posix() for each in files] == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import { a } from './a'", ["web/a.ts"]),
        ("export * from '../lib'", ["lib/index.ts"]),
        ("const b = require('./b.js')", ["web/b.js"]),
        ('await import("./a")', ["web/a.ts"]),
        ("import './b'", ["web/b.js"]),
        ("import x from 'react'", []),
        ("import x from '../../../etc/passwd'", []),
    ],
)
def test_script_imports(root: Path, source: str, found: list[str]) -> None:
    for name in ("web/a.ts", "web/b.js", "lib/index.ts"):
        write(root, name)
    files = imports(source, root / "web" / "main.tsx", root)
    assert [each.path.relative_to(root).as_posix() for each in files] == found


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from pkg.mod import f, g as h", {"pkg/mod.py": ("f", "g")}),
        ("from pkg.mod import (  # why\n    f,  # (why\n    g,\n)", {"pkg/mod.py": ("f", "g")}),
        ("from pkg import mod, other", {"pkg/mod.py": (), "pkg/__init__.py": ("other",)}),
        ("from pkg.mod import f\nfrom pkg.mod import g", {"pkg/mod.py": ("f", "g")}),
        ("from pkg.mod import f\nimport pkg.mod", {"pkg/mod.py": ()}),
        ("from pkg.mod import *", {"pkg/mod.py": ()}),
        ("from . import f", {"pkg/__init__.py": ("f",)}),
        ("from pkg.mod import ", {"pkg/mod.py": ()}),
    ],
)
def test_names_of_python_imports(
    root: Path, source: str, names: dict[str, tuple[str, ...]]
) -> None:
    write(root, "pkg/__init__.py")
    write(root, "pkg/mod.py")
    assert found(root, source, "pkg/main.py") == names


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import { a, type B as C } from './a'", ("a", "B")),
        ("import {\n  a,\n  b,\n} from './a.js'", ("a", "b")),
        ("export { a } from './a'", ("a",)),
        ("import a from './a'", ()),
        ("import a, { b } from './a'", ()),
        ("import * as a from './a'", ()),
        ("const { a, b: c } = require('./a')", ("a", "b")),
        ("const a = require('./a')", ()),
    ],
)
def test_names_of_script_imports(root: Path, source: str, names: tuple[str, ...]) -> None:
    write(root, "a.ts")
    assert found(root, source, "main.ts") == {"a.ts": names}


def test_includes_are_found_beside_the_file_and_in_the_usual_folders(root: Path) -> None:
    for name in ("src/near.h", "include/kit/far.h", "top.h"):
        write(root, name)
    source = '#include <stdio.h>\n#include "near.h"\n #include "kit/far.h"\n#include "top.h"\n'
    assert list(found(root, source, "src/main.c")) == ["src/near.h", "include/kit/far.h", "top.h"]


def test_go_files_see_their_package_and_the_packages_they_import(root: Path) -> None:
    for name in ("cmd/main.go", "cmd/flags.go", "cmd/flags_test.go", "kit/stack/stack.go"):
        write(root, name)
    source = 'package cmd\nimport (\n\t"fmt"\n\ts "example.org/x/kit/stack"\n)\n'
    assert found(root, source, "cmd/main.go") == {"cmd/flags.go": (), "kit/stack/stack.go": ()}


def test_rust_paths_end_in_modules_or_in_their_names(root: Path) -> None:
    for name in ("src/lib.rs", "src/kit.rs", "src/kit/stack.rs", "src/near/mod.rs"):
        write(root, name)
    source = "use std::fmt;\nuse crate::kit::stack::{Stack, Queue as Q};\npub mod near;\n"
    assert found(root, source, "src/lib.rs") == {
        "src/kit/stack.rs": ("Stack", "Queue"),
        "src/near/mod.rs": (),
    }
    assert found(root, "use super::Kit;", "src/kit/stack.rs") == {"src/kit.rs": ("Kit",)}


def test_java_files_see_what_they_import_and_what_they_name_of_their_package(root: Path) -> None:
    for name in ("b/Main", "b/Near", "b/Other", "c/Far"):
        write(root, f"src/a/{name}.java")
    source = "package a.b;\nimport java.util.List;\nimport a.c.Far;\nclass Main { Near near; }\n"
    names = list(found(root, source, "src/a/b/Main.java"))
    assert names == ["src/a/c/Far.java", "src/a/b/Near.java"]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("main.py", "from ...outside import x\nfrom .. import outside"),
        ("main.ts", "import x from '../outside'"),
        ("main.c", '#include "../outside.h"'),
        ("src/main.rs", "use super::super::super::outside::X;\nmod outside;"),
        ("main.go", 'import "x/../../outside"'),
        ("Main.java", "package a.b.c;\nimport outside.X;"),
    ],
)
def test_nothing_outside_of_the_workspace_is_found(root: Path, name: str, source: str) -> None:
    for ending in (".py", ".ts", ".h", ".rs", "/a.go", "/X.java"):
        write(root, f"outside{ending}")
    assert found(root / "work" / "space", source, name) == {}


def test_hostile_import_lines_cost_little_and_raise_nothing(root: Path) -> None:
    source = f"from {'.' * 50_000} x\nimport {'a' * 5000}\n" + "from a import (\n" * 5000
    assert imports(source, root / "main.py", root) == []
    for text in ("import x from './" + "a" * 5000 + "'", "import " * 20_000, "export {" * 20_000):
        assert imports(text, root / "m.ts", root) == []
