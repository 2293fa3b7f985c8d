"""multilspy in a process of its own: finds and starts servers for a dozen languages.

Run by its path, not as a module, in an interpreter that sees multilspy's packages and not
polydraft's: the two ask for different versions of the same ones. It is asked and answers as
`jedi_worker.py`, each question with the `language` of its text.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from typing import Any

_KEYWORD, _TEXT, _SNIPPET = 14, 1, 15
_KINDS = {2: "function", 3: "function", 4: "function", 7: "class", 8: "class", 9: "module"}
_KINDS |= {13: "class", 22: "class", 25: "class"}
# LSP language id -> multilspy's name, where they differ.
_NAMES = {"typescriptreact": "typescript", "javascriptreact": "javascript"}


class Worker:
    """One server for each language, started at its first question."""

    def __init__(self, root: str) -> None:
        from multilspy import multilspy_utils

        self._root = root
        self._texts: dict[str, str] = {}
        self._servers: dict[str, Any] = {}
        self._running = ExitStack()
        read = multilspy_utils.FileUtils.read_file

        def read_here(logger: Any, path: str) -> str:
            return self._texts[path] if path in self._texts else read(logger, path)

        # It opens files from the disk: what is not saved has to take their place.
        multilspy_utils.FileUtils.read_file = staticmethod(read_here)

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        if question["task"] == "signatures":
            return {"signatures": []}  # it has no such question
        path = question["path"] or os.path.join(self._root, f"untitled.{question['language']}")
        self._texts = {other: text for other, text in question["others"]}
        self._texts[path] = question["text"]
        server = self._server(_NAMES.get(question["language"], question["language"]))
        line = question["text"].split("\n")[question["line"] - 1][: question["column"]]
        units = len(line.encode("utf-16-le", "surrogatepass")) // 2
        below = os.path.relpath(path, self._root)
        with ExitStack() as opened:
            for other in self._texts:
                if other != path:
                    opened.enter_context(server.open_file(os.path.relpath(other, self._root)))
            found = server.request_completions(below, question["line"] - 1, units, True)
        names = [
            (each["completionText"].partition("(")[0], _KINDS.get(each["kind"], "value"))
            for each in found
            if each["kind"] not in (_KEYWORD, _TEXT, _SNIPPET)
        ]
        telling = any(not name.startswith("__") for name, _ in names)
        return {"names": names, "grade": "open" if telling else "unknown"}

    def _server(self, language: str) -> Any:
        if language not in self._servers:
            from multilspy import SyncLanguageServer
            from multilspy.multilspy_config import MultilspyConfig
            from multilspy.multilspy_logger import MultilspyLogger

            config = MultilspyConfig.from_dict({"code_language": language})
            made = SyncLanguageServer.create(config, MultilspyLogger(), self._root)
            self._servers[language] = self._running.enter_context(made.start_server())
        return self._servers[language]


def main() -> None:
    packages, root = sys.argv[1:3]
    sys.path.insert(0, packages)
    # Servers that are Python programs are its children, and find their packages like this.
    os.environ["PYTHONPATH"] = packages
    os.environ["PATH"] = os.pathsep.join([os.path.join(packages, "bin"), os.environ["PATH"]])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what anybody else prints is no answer
    worker = Worker(root)
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
