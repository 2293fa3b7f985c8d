"""Entries of a completion menu. A label is text of the document to some editors, see menu.py."""

from __future__ import annotations

import os
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from polydraft.lsp_server.documents import opened
from polydraft.lsp_server.menu import MenuClient, menu_client, menu_items
from tests.fakes import draft

MARKDOWN = MenuClient(markdown=True)
EGLOT = MenuClient(inserts_labels=True)


def entries(
    before: str, *texts: str, after: str = "", client: MenuClient = MARKDOWN
) -> list[types.CompletionItem]:
    document = opened(types.TextDocumentItem("file:///a.py", "python", 1, before + after))
    drafts = [(f"1.{index}", draft(text)) for index, text in enumerate(texts)]
    return menu_items(document, len(before), drafts, types.PositionEncodingKind.Utf16, client)


def labels(before: str, *texts: str, client: MenuClient = MARKDOWN) -> list[str]:
    return [entry.label for entry in entries(before, *texts, client=client)]


def test_a_label_is_the_first_line_with_what_was_typed_of_its_first_word() -> None:
    assert labels("x = foo", "_bar(1)", "_baz") == ["foo_bar(1)", "foo_baz"]
    assert labels("x =", " foo") == ["foo"]
    assert labels("def f():", "\n    return 1") == ["return 1"]
    assert labels("", "for x in y:\n    f(x)") == ["for x in y: …"]


def test_labels_of_drafts_that_begin_alike_differ_and_say_how() -> None:
    texts = [f"for x in y:\n    a = 1\n    {end}" for end in ("f(x)", "g(x)")]
    assert labels("", *texts, "for x in y:") == [
        "for x in y:¹ … f(x)",
        "for x in y:² … g(x)",
        "for x in y:³",
    ]


def test_a_label_that_begins_another_is_marked_for_emacs_only() -> None:
    texts = ["length", "length(values)", "len(v)"]
    assert labels("", *texts) == texts
    assert labels("", *texts, client=EGLOT) == ["length¹", "length(values)", "len(v)"]


def test_long_lines_that_differ_at_their_ends_have_labels_of_their_own() -> None:
    long = "x" * 200
    assert labels("", long + "1", long + "2") == ["x" * 80 + "¹ …", "x" * 80 + "² …"]


LINES = st.lists(st.sampled_from(["f(x)", "f(x) + 1", " f", "y" * 90, "1", "", "…"]), min_size=1)


@given(st.lists(LINES.map("\n".join).filter(str.strip), min_size=2, max_size=8, unique=True))
def test_what_two_labels_begin_with_is_in_both_drafts_and_is_no_label(texts: list[str]) -> None:
    # Emacs inserts it at the first press of the key.
    found = labels("", *texts, client=EGLOT)
    for (one, first), (other, second) in combinations(zip(found, texts, strict=True), 2):
        common = os.path.commonprefix([one, other])
        assert common not in (one, other)
        assert first.strip().startswith(common.rstrip())
        assert second.strip().startswith(common.rstrip())


def test_drafts_keep_their_order() -> None:
    keys = [entry.sort_text for entry in entries("", *map(str, range(12)))]
    assert keys == sorted(keys, key=str)


def test_an_entry_is_found_by_what_is_typed_of_it_and_inserts_all_of_the_draft() -> None:
    (entry,) = entries("total /", " len(values)", after="\n")
    assert entry.filter_text == "len(values)"
    position = types.Position(0, 7)
    assert entry.text_edit == types.TextEdit(types.Range(position, position), " len(values)")


def test_several_lines_are_shown_as_code_of_the_document_indented_as_they_will_be() -> None:
    (entry,) = entries("    ", "if x:\n        y()\n    z()")
    assert entry.documentation == types.MarkupContent(
        types.MarkupKind.Markdown, "```python\nif x:\n    y()\nz()\n```"
    )


def test_an_entry_takes_indentation_back() -> None:
    document = opened(types.TextDocumentItem("file:///a.py", "python", 1, "if x:\n        "))
    drafts = [("1.0", draft("else:\n        y()", outdent=4))]
    [entry] = menu_items(document, 14, drafts, types.PositionEncodingKind.Utf16, MARKDOWN)
    range_ = types.Range(types.Position(1, 4), types.Position(1, 8))
    assert entry.text_edit == types.TextEdit(range_, "else:\n        y()")
    assert entry.filter_text == "    else:\n        y()"  # begins as the range does
    assert entry.documentation == types.MarkupContent(
        types.MarkupKind.Markdown, "```python\nelse:\n    y()\n```"
    )


def test_a_fence_in_a_draft_does_not_end_the_code() -> None:
    (entry,) = entries("", '"""\n```\ncode\n```\n"""')
    assert isinstance(entry.documentation, types.MarkupContent)
    assert entry.documentation.value.startswith("````python\n")
    assert entry.documentation.value.endswith("\n````")


def test_a_line_that_is_all_seen_has_no_documentation() -> None:
    assert entries("x = foo", "_bar(1)")[0].documentation is None


def test_an_editor_without_markdown_gets_plain_text() -> None:
    (entry,) = entries("", "if x:\n    y()", client=MenuClient())
    assert entry.documentation == "if x:\n    y()"


def test_the_source_stands_beside_the_label_where_the_editor_has_a_place_for_it() -> None:
    (entry,) = entries("", "x", client=MenuClient(label_details=True))
    assert entry.label_details == types.CompletionItemLabelDetails(description="polydraft")
    (entry,) = entries("", "x")
    assert (entry.label_details, entry.detail) == (None, "polydraft")


def test_what_an_editor_shows_is_read_from_its_capabilities() -> None:
    item = types.ClientCompletionItemOptions(
        documentation_format=[types.MarkupKind.PlainText, types.MarkupKind.Markdown],
        label_details_support=True,
    )
    capabilities = types.ClientCapabilities(
        text_document=types.TextDocumentClientCapabilities(
            completion=types.CompletionClientCapabilities(completion_item=item)
        )
    )
    params = types.InitializeParams(capabilities, client_info=types.ClientInfo("Eglot"))
    assert menu_client(params) == MenuClient(True, True, inserts_labels=True)
    assert menu_client(types.InitializeParams(types.ClientCapabilities())) == MenuClient()
