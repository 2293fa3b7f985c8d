"""Drafts as entries of a completion menu, for editors without inline completion.

A range begins where the identifier at the cursor begins, as in `polydraft.lsp_server.items`.
Editors treat an entry's label as text of the document: some insert what all labels begin with, and
find the chosen entry by its label. So labels are distinct, and what two of them begin with is in
both drafts.
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
_BACKTICKS = re.compile("`+")


@dataclass(frozen=True, slots=True)
class MenuClient:
    """What an editor shows beside a label, as it said when it connected."""

    markdown: bool = False
    label_details: bool = False


def menu_client(capabilities: types.ClientCapabilities) -> MenuClient:
    item = get_capability(capabilities, "text_document.completion.completion_item")
    if item is None:
        return MenuClient()
    formats = item.documentation_format or ()
    return MenuClient(
        markdown=types.MarkupKind.Markdown in formats,
        label_details=bool(item.label_details_support),
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
    for index, label in enumerate(_labels(texts)):
        draft_id, _ = drafts[index]
        _, _, range_ = replacements[index]
        hidden = label != texts[index].strip()
        items.append(
            types.CompletionItem(
                label=label,
                label_details=details if client.label_details else None,
                kind=types.CompletionItemKind.Text,
                detail=_SOURCE,
                documentation=_shown(document, offset, texts[index], client) if hidden else None,
                sort_text=f"{index:04d}",
                # Editors compare it with the identifier that is typed, also with one begun later.
                filter_text=texts[index].lstrip(),
                preselect=False,
                text_edit=types.TextEdit(range_, texts[index]),
                insert_text_format=types.InsertTextFormat.PlainText,
                insert_text_mode=types.InsertTextMode.AsIs,
                command=accepted_command(draft_id),
            )
        )
    return items


def _labels(texts: Sequence[str]) -> list[str]:
    """First lines, shortened; where those are alike, a number and what comes next as well."""
    lines = [[line.strip() for line in text.strip().split("\n")] for text in texts]
    shown = [each[0][: _LONGEST_LABEL - 2].rstrip() for each in lines]
    labels = []
    for index, (first, *more) in enumerate(lines):
        if not more and first == shown[index]:
            labels.append(first)
        elif shown.count(shown[index]) == 1:
            labels.append(f"{shown[index]} …")
        else:
            # The number comes first, since a label's end is none of the document's.
            number = shown[: index + 1].count(shown[index])
            others = [lines[at] for at in range(len(lines)) if at != index]
            own = next((line for line in more if all(line not in other for other in others)), "")
            room = _LONGEST_LABEL - len(shown[index])
            labels.append(f"{shown[index]} {number} … {own[: max(room, 0)]}".rstrip())
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
