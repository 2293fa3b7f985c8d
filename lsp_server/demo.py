"""The file that `polydraft complete --demo` completes, with its cursor marked.

The mark is a comment of its own, so that the file is a Python module like any other; it is taken
out before completion.
"""

from __future__ import annotations

from pathlib import Path

from pygls.uris import from_fs_path

from polydraft.lsp_server.documents import Document
from polydraft.lsp_server.failures import CommandError
from polydraft.lsp_server.place import Cursor, Place, language_of

FILE = Path(__file__).resolve().parents[1] / "examples" / "inventory.py"
MARK = "# ▮"


def demo_cursor(path: Path = FILE) -> Cursor:
    """The marked place, in the text without the mark.

    `CommandError` if the file is not there or has no mark.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise CommandError(
            f"The demo completes {path.name}, an example in polydraft's repository, which this"
            " installation does not have. Complete a file of your own instead: polydraft complete"
            " FILE:LINE:COL"
        ) from None
    before, mark, after = text.partition(MARK)
    if not mark:
        raise CommandError(f"{path} has no cursor; mark one with the comment `{MARK}`.")
    # Seen from the repository's top; the text is not on disk like this, so it has no path.
    name = f"{path.parent.name}/{path.name}"
    line_start = before.rfind("\n") + 1
    place = Place(name, before.count("\n") + 1, len(before) - line_start + 1)
    rest = after.partition("\n")[2]
    document = Document(
        from_fs_path(str(path)) or "", f"{before}\n{rest}", 0, language_of(path), path
    )
    return Cursor(place, document, len(before))
