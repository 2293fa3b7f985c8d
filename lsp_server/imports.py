"""Which files of the workspace a source file imports, and which of their names.

Import statements are read by their form, line by line; what is found on disk counts. Python, the
relative imports of JavaScript and TypeScript, `#include "..."`, and packages of Go, Rust and Java.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

_STATEMENTS = 60  # import statements followed
_FILES = 60  # of one package
_FAMILIES = (
    frozenset({".py", ".pyi"}),
    frozenset({".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".mts", ".cts", ".vue", ".svelte"}),
    frozenset({".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx"}),
)
_LANGUAGES = {
    **dict.fromkeys((".py", ".pyi"), "python"),
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs"), "javascript"),
    **dict.fromkeys((".ts", ".mts", ".cts"), "typescript"),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".h"), "cpp"),
    ".tsx": "tsx",
    ".go": "go",
    ".rs": "rust",
    ".java": "java",
    ".c": "c",
}
_PYTHON = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]{0,4000}\)|[^\n]*)"
    r"|import[ \t]+([^\n]+))",
    re.MULTILINE,
)
_SCRIPT = re.compile(
    r"""(?:(?:\bimport|\bexport)[ \t]+([\w\s{},*$]{0,1000}?)\bfrom|\bimport|"""
    r"""(?:(?:const|let|var)[ \t]+([\w ,:{}$]{0,500})=[ \t]*)?\brequire[ \t]*\(|"""
    r"""\bimport[ \t]*\()"""
    r"""[ \t]*["'](\.{1,2}/[^"'\n]+)["']"""
)
_SCRIPT_ENDINGS = ("", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".d.ts")
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.MULTILINE)
_GO = re.compile(r'^(?:import)?[ \t]*\(?[ \t]*(?:[\w.]+[ \t]+)?"([^"\n]+)"', re.MULTILINE)
_RUST = re.compile(
    r"^[ \t]*(?:pub(?:\([^)\n]*\))?[ \t]+)?"
    r"(?:use[ \t]+((?:crate|self|super)\b[^;]{0,2000});|mod[ \t]+(\w+)[ \t]*;)",
    re.MULTILINE,
)
_JAVA = re.compile(r"^import[ \t]+(?:static[ \t]+)?([\w.]+?)(\.\*)?[ \t]*;", re.MULTILINE)
_JAVA_PACKAGE = re.compile(r"^package[ \t]+([\w.]+)", re.MULTILINE)
_WORD = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Import:
    """A file of the workspace; `names` are those imported from it, none where all of it is."""

    path: Path
    names: tuple[str, ...] = ()


_Option = tuple[
    Sequence[str | Path], tuple[str, ...]
]  # where the file may be, the names; first wins


def language_of(path: Path) -> str:
    """The LSP language id by the file's ending; "" if it is none with a grammar here."""
    return _LANGUAGES.get(path.suffix.lower(), "")


def source_endings() -> tuple[str, ...]:
    """The endings of files that have a language, without their dots."""
    return tuple(ending.removeprefix(".") for ending in _LANGUAGES)


def same_family(one: Path, other: Path) -> bool:
    """Whether two files are of languages that use each other."""
    a, b = one.suffix.lower(), other.suffix.lower()
    return a == b or any(a in family and b in family for family in _FAMILIES)


def imports(source: str, path: Path, root: Path) -> list[Import]:
    """The files below `root` that `source`, the text of the file `path`, imports.

    In the order of the statements, each file once, with the names of all its statements.
    """
    found: dict[str, tuple[str, ...]] = {}
    options = _OPTIONS.get(language_of(path) or _same_as_known(path))
    for places, names in () if options is None else options(source, path, root):
        place = _first(places, root)
        if place is not None and place != str(path):
            known = found.get(place)
            whole = known == () or not names
            found[place] = () if whole else tuple(dict.fromkeys([*(known or ()), *names]))
    return [Import(Path(place), names) for place, names in found.items()]


def _first(places: Sequence[str | Path], root: Path) -> str | None:
    """The first that is a file; nothing outside of `root` is even asked for."""
    inside = os.path.join(root, "")
    for place in places:
        plain = os.path.normpath(place)
        if plain.startswith(inside) and os.path.isfile(plain):
            return plain
    return None


def _same_as_known(path: Path) -> str:
    return "typescript" if same_family(path, Path("a.ts")) else ""


# Python -----------------------------------------------------------------------------------------


def _python(source: str, path: Path, root: Path) -> Iterator[_Option]:
    for found in islice(_PYTHON.finditer(source), _STATEMENTS):
        module, names, plain = found.groups()
        if plain is not None:
            for name in plain.split("#")[0].split(","):
                yield _modules(name.split(" as ")[0].strip(), path, root), ()
            continue
        inner: list[str] = []
        for name in re.sub(r"#[^\n]*", "", names).strip("() \t").replace("\n", ",").split(","):
            first = name.split(" as ")[0].strip()
            dot = "" if module.endswith(".") else "."
            if not first.isidentifier():
                inner += ["*"] if first == "*" else []
                continue
            # A module of the package, or a name in the package's own module.
            places = _modules(module + dot + first, path, root)
            if _first(places, root) is not None:
                yield places, ()
            else:
                inner.append(first)
        if inner or not names.strip("() \t"):
            yield _modules(module, path, root), () if "*" in inner else tuple(inner)


def _modules(name: str, path: Path, root: Path) -> list[str | Path]:
    """Where the module `name` may be: beside the file, at the root, or in its `src` folder."""
    tail = name.lstrip(".")
    parts = tail.split(".") if tail else []
    if not all(part.isidentifier() for part in parts):
        return []
    level = len(name) - len(tail)
    beside = str(path.parent)
    if level:
        bases = [os.path.join(beside, *[".."] * (level - 1))]
    else:
        bases = [str(root), os.path.join(root, "src"), beside]
    places: list[str | Path] = []
    for base in bases:
        module = os.path.join(base, *parts)
        places += [f"{module}.py"] if parts else []
        places.append(os.path.join(module, "__init__.py"))
    return places


# JavaScript and TypeScript ----------------------------------------------------------------------


def _script(source: str, path: Path, root: Path) -> Iterator[_Option]:
    for found in islice(_SCRIPT.finditer(source), _STATEMENTS):
        clause = found.group(1) or found.group(2) or ""
        base = _normal(path.parent, found.group(3))
        plain = base.with_suffix("") if base.suffix in {".js", ".mjs", ".cjs", ".jsx"} else base
        endings = _SCRIPT_ENDINGS[1:] if base.name in {"", ".", ".."} else _SCRIPT_ENDINGS
        yield (
            [
                *(base.with_name(base.name + ending) for ending in endings if base.name),
                *(base / f"index{ending}" for ending in _SCRIPT_ENDINGS[1:]),
                # TypeScript names its modules as they will be once compiled.
                *(plain.with_name(plain.name + end) for end in (".ts", ".tsx") if plain.name),
            ],
            _script_names(clause),
        )


def _script_names(clause: str) -> tuple[str, ...]:
    """`a as b, type C` in braces -> a, C; nothing for a default or a whole module."""
    _, brace, inner = clause.partition("{")
    if not brace or "*" in clause or clause.partition("{")[0].replace("type", "").strip():
        return ()
    names = (part.split(" as ")[0].split(":")[0].split() for part in inner.strip("} \n").split(","))
    return tuple(words[-1] for words in names if words and words[-1].isidentifier())


def _normal(folder: Path, relative: str) -> Path:
    for part in relative.split("/"):
        folder = folder.parent if part == ".." else folder if part in {"", "."} else folder / part
    return folder


# The others -------------------------------------------------------------------------------------


def _include(source: str, path: Path, root: Path) -> Iterator[_Option]:
    for found in islice(_INCLUDE.finditer(source), _STATEMENTS):
        name = found.group(1)
        bases = (path.parent, root, root / "include", root / "src")
        yield [_normal(base, name) for base in bases], ()


def _go(source: str, path: Path, root: Path) -> Iterator[_Option]:
    """The other files of the package, then packages of the workspace that are imported.

    Import paths begin with the module's name, which go.mod tells; instead of reading it, leading
    parts are dropped until the rest is a folder of the workspace.
    """
    folders = [path.parent]
    for found in islice(_GO.finditer(source), _STATEMENTS):
        parts = [part for part in found.group(1).split("/") if part not in {"", ".", ".."}]
        tails = (root.joinpath(*parts[start:]) for start in range(1, len(parts)))
        folders += islice(filter(os.path.isdir, tails), 1)
    for folder in folders:
        for name in _names_in(folder, root, ".go"):
            if not name.endswith("_test.go"):
                yield [folder / name], ()


def _names_in(folder: Path, root: Path, ending: str) -> list[str]:
    """The names of a folder's files with that ending; none if the folder lies outside of `root`."""
    if not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(root)):
        return []
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(ending))[:_FILES]
    except OSError:
        return []


def _rust(source: str, path: Path, root: Path) -> Iterator[_Option]:
    own = path.parent if path.stem in {"mod", "lib", "main"} else path.with_suffix("")
    crate = next((f for f in path.parents if f.name == "src"), path.parent)
    for found in islice(_RUST.finditer(source), _STATEMENTS):
        if found.group(2):
            yield [own / f"{found.group(2)}.rs", own / found.group(2) / "mod.rs"], ()
            continue
        head, _, inner = found.group(1).partition("{")
        words = _WORD.findall(head)
        folder = {"crate": crate, "self": own, "super": own.parent}[words[0]]
        modules = [word for word in words[1:] if word != "super"]
        folder = folder.joinpath(*[".."] * words[1:].count("super"))
        inner = re.sub(r"\bas\s+\w+", "", inner)
        names = tuple(word for word in _WORD.findall(inner) if word != "self")
        if not inner and modules:
            names = tuple(modules[-1:])
        for depth in range(len(modules), -1, -1):  # the last parts may be types, not modules
            base = _normal(folder, "/".join(modules[:depth]))
            files = [base.with_suffix(".rs"), base / "mod.rs", base / "lib.rs"]
            if _first(files, root) is not None:
                yield files, () if depth == len(modules) and not inner else names
                break


def _java(source: str, path: Path, root: Path) -> Iterator[_Option]:
    """What is imported, then the types of the file's own package that it names."""
    package = _JAVA_PACKAGE.search(source)
    parts = package.group(1).split(".") if package else []
    home = Path(os.path.normpath(path.parent.joinpath(*[".."] * len(parts))))
    for found in islice(_JAVA.finditer(source), _STATEMENTS):
        folder = home.joinpath(*found.group(1).split("."))
        if found.group(2):
            yield from (([folder / name], ()) for name in _names_in(folder, root, ".java"))
        else:
            yield [folder.with_suffix(".java"), folder.parent.with_suffix(".java")], ()
    named = set(_WORD.findall(source))
    for name in _names_in(path.parent, root, ".java"):
        if name.removesuffix(".java") in named:
            yield [path.parent / name], ()


_OPTIONS: dict[str, Callable[[str, Path, Path], Iterator[_Option]]] = {
    "python": _python,
    **dict.fromkeys(("javascript", "typescript", "tsx"), _script),
    **dict.fromkeys(("c", "cpp"), _include),
    "go": _go,
    "rust": _rust,
    "java": _java,
}
