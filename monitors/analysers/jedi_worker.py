"""jedi in a process of its own: one question a line on standard input, one answer a line back.

Run by `worker_analyser.py`. A question is an object of JSON with

    task      "names" or "signatures"
    path, text, line (from 1), column (from 0, code points)
    others    [path, text] of documents that count as they are here, not as they are on disk

and an answer one with `names` and `grade`, or `signatures`, or `error`.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from pathlib import Path
from typing import Any

import jedi
from jedi.api.classes import Completion, ParamName
from jedi.file_io import KnownContentFileIO
from jedi.inference.base_value import ValueSet
from jedi.inference.sys_path import transform_path_to_dotted
from jedi.inference.value.module import ModuleValue
from parso.cache import parser_cache
from parso.utils import split_lines

from polydraft.monitors.analysers.jedi_grading import grade

_EVERYWHERE = {"__class__", "__name__"}  # of objects, of modules
_MOST = 3000  # names; more of them are no type
_HOW = {0: "positional only", 1: "positional or keyword", 2: "*args", 3: "keyword only"}
_KINDS = {"class": "class", "function": "function", "module": "module"}


class Worker:
    """`python` is an interpreter that may be run, "" for none: then the standard library and the
    workspace itself are all that is known."""

    def __init__(self, root: str, python: str) -> None:
        environment = (
            jedi.create_environment(python, safe=False) if python else jedi.InterpreterEnvironment()
        )
        self._environment = environment
        self._project = jedi.Project(root, sys_path=None if python else [root, *_standard()])
        self._given: set[str] = set()

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        self._forget({question["path"], *(path for path, _ in question["others"])})
        script = jedi.Script(
            question["text"],
            path=question["path"] or None,
            project=self._project,
            environment=self._environment,
        )
        self._lay_over(script, question["others"])
        place = question["line"], question["column"]
        if question["task"] == "signatures":
            return {"signatures": [_signature(each) for each in script.get_signatures(*place)]}
        found = script.complete(*place)
        if len(found) > _MOST:
            return {"names": [], "grade": "unknown"}
        names = [_name(each) for each in found if each._name.api_type != "keyword"]
        telling = any(not name.startswith("__") for name, _ in names)
        if not telling:
            return {"names": names, "grade": "unknown"}
        found_grade = grade(script, *place)
        if found_grade == "closed" and not any(name in _EVERYWHERE for name, _ in names):
            found_grade = "open"  # what every object has is missing: more may be
        return {"names": names, "grade": found_grade}

    def _lay_over(self, script: jedi.Script, others: list[tuple[str, str]]) -> None:
        """Have modules count as they are in the editor: jedi itself reads the disk."""
        state = script._inference_state
        for path, text in others:
            names, is_package = transform_path_to_dotted(state.get_sys_path(), Path(path))
            if not names or names[0] in ("builtins", "typing"):  # as in `Script._get_module`
                continue
            node, _ = state.parse_and_get_code(
                code=text,
                path=Path(path),
                use_latest_grammar=False,
                cache=False,  # nothing on disk
                diff_cache=True,
                cache_path=None,
            )
            module = ModuleValue(
                state,
                node,
                code_lines=split_lines(text, keepends=True),
                file_io=KnownContentFileIO(Path(path), text),
                string_names=names,
                is_package=is_package,
            )
            state.module_cache.add(names, ValueSet([module]))

    def _forget(self, given: set[str]) -> None:
        """What was given before and is no more counts as it is on disk again."""
        for path in self._given - given:
            for parsed in parser_cache.values():
                parsed.pop(Path(path), None)
        self._given = given


def _standard() -> list[str]:
    paths = sysconfig.get_paths()
    found = dict.fromkeys([paths["stdlib"], paths["platstdlib"]])
    return [*found, *(f"{path}/lib-dynload" for path in found)]


def _name(found: Completion) -> tuple[str, str]:
    if found.name_with_symbols.endswith("="):
        return found.name_with_symbols[:-1], "argument"
    # `Completion.type` would infer what each imported name is: that takes most of the time.
    return found.name.strip("\"'"), _KINDS.get(found._name.api_type, "value")


def _signature(found: Any) -> list[tuple[str, str, bool]]:
    return [_parameter(each) for each in found.params]


def _parameter(found: ParamName) -> tuple[str, str, bool]:
    """Name, how it may be given, whether it has to be."""
    kind = int(found.kind)
    how = _HOW.get(kind, "**kwargs")
    return found.name, how, kind in (0, 1, 3) and "=" not in found.to_string()


def main() -> None:
    root, python = sys.argv[1:3]
    worker = Worker(root, python)
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:  # jedi has slips of its own on unusual code
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
