"""python -m tests.editors.toolchain [vsix | stylua | pin SUITE PACKAGE...]"""

from __future__ import annotations

import sys
import time

from tests.editors.toolchain import MissingEditor, Toolchain, debian
from tests.editors.toolchain.stylua import CLIENT, out_of_style


def main(arguments: list[str]) -> int:
    toolchain = Toolchain(install=True)
    started = time.monotonic()
    match arguments:
        case []:
            try:
                toolchain.everything()
            except MissingEditor as missing:
                print(missing, file=sys.stderr)
                return 1
            took = time.monotonic() - started
            print(f"All editors are in {toolchain.root} ({took:.0f} s).", file=sys.stderr)
        case ["vsix"]:
            print(toolchain.vsix())
        case ["stylua"]:
            files = sorted(CLIENT.rglob("*.lua"))
            for file in out_of_style(toolchain.node(), toolchain.stylua(), files, write=True):
                print(f"put right: {file}", file=sys.stderr)
        case ["pin", suite, *packages]:
            print("\n".join(debian.rows(suite, packages)))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
