"""Drafts as entries of a completion menu, for editors without inline completion.

A range begins where the identifier at the cursor begins, as in `polydraft.lsp_server.items`.
Labels are distinct, and what two of them begin with is in both drafts: `for x in y:¹ … f(x)` and
`for x in y:² … g(x)`. For Emacs inserts what all labels begin with, and finds the chosen entry by
its label; to it none may be the beginning of another, or the wrong one of the two is inserted.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from lsprotocol import types
from pygls.capabilities import get_capability

from polydraft.lsp_server.asks import NamedDraft
from polydraft.lsp_server.documents import Document, Encoding
from polydraft.lsp_server.items import accepted_command, replacement

_SOURCE = "polydraft"
_LONGEST_LABEL = 80
_NUMBERS = "¹²³⁴⁵⁶⁷⁸"  # as many as there are drafts
_BACKTICKS = re.compile("`+")


@dataclass(frozen=True, slots=True)
class MenuClient:
    """What an editor shows beside a label, as it said when it connected.

    `inserts_labels`: as text, before it replaces them.
    """

    markdown: bool = False
    label_details: bool = False
    inserts_labels: bool = False


def menu_client(params: types.InitializeParams) -> MenuClient:
    item = get_capability(params.capabilities, "text_document.completion.completion_item")
    name = params.client_info.name if params.client_info else ""
    return MenuClient(
        markdown=types.MarkupKind.Markdown in (item and item.documentation_format or ()),
        label_details=bool(item and item.label_details_support),
        inserts_labels=name == "Eglot",
    )


def menu_items(
    document: Document,
    offset: int,
    drafts: Sequence[NamedDraft],
    encoding: Encoding,
    client: MenuClient,
) -> list[types.CompletionItem]:
    """Entries in the drafts' order, which come before what other servers offer.

    There are few of them, and each is the likeliest way on of its kind.
    """
    replacements = [replacement(document, offset, draft, encoding) for _, draft in drafts]
    texts = [
        word + draft.text for (word, _, _), (_, draft) in zip(replacements, drafts, strict=True)
    ]
    details = types.CompletionItemLabelDetails(description=_SOURCE)
    items = []
    for index, label in enumerate(_labels(texts, client.inserts_labels)):
        draft_id, draft = drafts[index]
        kept = offset - draft.outdent
        taken_back = document.text[kept:offset]
        _, _, range_ = replacements[index]
        hidden = label != texts[index].strip()
        items.append(
            types.CompletionItem(
                label=label,
                label_details=details if client.label_details else None,
                kind=types.CompletionItemKind.Text,
                detail=_SOURCE,
                documentation=_shown(document, kept, texts[index], client) if hidden else None,
                sort_text=f"{index:04d}",
                # Editors compare it with the identifier that is typed, also with one begun later.
                filter_text=taken_back + texts[index].lstrip(),
                preselect=False,
                text_edit=types.TextEdit(range_, texts[index]),
                insert_text_format=types.InsertTextFormat.PlainText,
                insert_text_mode=types.InsertTextMode.AsIs,
                command=accepted_command(draft_id),
            )
        )
    return items


def _labels(texts: Sequence[str], none_begins_another: bool) -> list[str]:
    """First lines, shortened. Those that are alike bear their numbers and what comes next."""
    lines = [[line.strip() for line in text.strip().split("\n")] for text in texts]
    shown = [each[0][:_LONGEST_LABEL].rstrip() for each in lines]
    labels = []
    for index, (first, *more) in enumerate(lines):
        others = [at for at in range(len(lines)) if at != index]
        label = shown[index]
        alike = any(shown[at] == label for at in others)
        if none_begins_another:
            alike = any(shown[at].startswith(label) for at in others)
        if alike:
            label += _NUMBERS[index % len(_NUMBERS)]
        if more or first != shown[index]:
            own = (line for line in more if all(line not in lines[at] for at in others))
            label += f" … {next(own, '')[:_LONGEST_LABEL]}".rstrip() if alike else " …"
        labels.append(label)
    return labels


def _shown(
    document: Document, offset: int, text: str, client: MenuClient
) -> types.MarkupContent | str:
    """All of a draft, its lines indented as they will be to each other."""
    start = document.text.rfind("\n", 0, offset) + 1
    line = document.text[start:offset]
    indentation = line[: len(line) - len(line.lstrip())]
    code = textwrap.dedent(text.strip("\n") if text.startswith("\n") else indentation + text)
    if not client.markdown:
        return code
    longest = max((len(run) for run in _BACKTICKS.findall(code)), default=0)
    fence = "`" * max(3, longest + 1)
    return types.MarkupContent(
        types.MarkupKind.Markdown, f"{fence}{document.language}\n{code}\n{fence}"
    )
