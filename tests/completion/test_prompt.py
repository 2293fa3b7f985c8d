"""Prompts, token by token. The fake tokenizer reads bytes, so prompts can be read as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polydraft.completion.prompt import PromptFormat, build_prompt, context_share
from polydraft.completion.types import Budget, ContextChunk, Request

SPECIALS = ("<bos>", "<pre>", "<suf>", "<mid>", "<repo>", "<file>", "<eot>")
BOS, PRE, SUF, MID, REPO, FILE, EOT = range(256, 256 + len(SPECIALS))


class ByteTokenizer:
    """One token a byte; counts what it is asked to encode."""

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, text: str) -> list[int]:
        self.encoded += len(text)
        return list(text.encode("utf-8", "surrogatepass"))

    def decode(self, ids: Sequence[int]) -> str:
        parts = [SPECIALS[i - 256].encode() if i > 255 else bytes([i]) for i in ids]
        return b"".join(parts).decode(errors="replace")

    def special(self, token: str) -> int:
        return 256 + SPECIALS.index(token)


class WordTokenizer(ByteTokenizer):
    """About four characters a token, as real ones have: spaces join the word behind them."""

    def encode(self, text: str) -> list[int]:
        self.encoded += len(text)
        return [sum(map(ord, text[at : at + 4])) % 256 for at in range(0, len(text), 4)]


QWEN = PromptFormat(PRE, SUF, MID, None, REPO, FILE, frozenset({EOT}), False)
STARCODER2 = replace(QWEN, repo_newline=False, path_in_prefix=True)
DEEPSEEK = replace(QWEN, bos=BOS, repo_name=None, file_sep=None, path_comment=True)
CODELLAMA = replace(QWEN, bos=BOS, repo_name=None, file_sep=None)
CODEGEMMA = replace(QWEN, bos=BOS, repo_name=None)
SMOLLM2 = replace(QWEN, prefix=None, suffix=None, middle=None, repo_newline=False)
FORMATS = [QWEN, STARCODER2, DEEPSEEK, CODELLAMA, CODEGEMMA, SMOLLM2]

REQUEST = Request(
    "import a\nx = a.", "\ny = 2\n", path="b.py", language="python", anchor=13, repository="r"
)
CHUNKS = (ContextChunk("a.py", "one = 1\n"), ContextChunk("lib\\c.py", "two = 2"))


def text_of(request: Request, fmt: PromptFormat) -> str:
    prompt = build_prompt(request, ByteTokenizer(), fmt)
    head, tail = prompt.ids[: prompt.middle_at], prompt.ids[prompt.middle_at :]
    return f"{ByteTokenizer().decode(head)}▮{ByteTokenizer().decode(tail)}"


@pytest.mark.parametrize(
    ("fmt", "alone", "with_context"),
    [
        pytest.param(
            QWEN,
            "<pre>import a\nx = <suf>\ny = 2\n<mid>▮a.",
            "<repo>r\n<file>a.py\none = 1\n<file>lib/c.py\ntwo = 2\n"
            "<file>b.py\n<pre>import a\nx = <suf>\ny = 2\n<mid>▮a.",
            id="qwen2.5-coder",
        ),
        pytest.param(
            STARCODER2,
            "<pre>import a\nx = <suf>\ny = 2\n<mid>▮a.",
            "<repo>r<file>a.py\none = 1\n<file>lib/c.py\ntwo = 2\n"
            "<file><pre>b.py\nimport a\nx = <suf>\ny = 2\n<mid>▮a.",
            id="starcoder2",
        ),
        pytest.param(
            DEEPSEEK,
            "<bos><pre>import a\nx = <suf>\ny = 2\n<mid>▮a.",
            "<bos><pre>#a.py\none = 1\n#lib/c.py\ntwo = 2\n#b.py\n"
            "import a\nx = <suf>\ny = 2\n<mid>▮a.",
            id="deepseek-coder",
        ),
        pytest.param(
            CODELLAMA,
            "<bos><pre>import a\nx = <suf>\ny = 2\n<mid>▮a.",
            "<bos><pre>import a\nx = <suf>\ny = 2\n<mid>▮a.",
            id="codellama",
        ),
        pytest.param(
            CODEGEMMA,
            "<bos><pre>import a\nx = <suf>\ny = 2\n<mid>▮a.",
            "<bos><file>a.py\none = 1\n<file>lib/c.py\ntwo = 2\n"
            "<file>b.py\n<pre>import a\nx = <suf>\ny = 2\n<mid>▮a.",
            id="codegemma",
        ),
        pytest.param(
            SMOLLM2,
            "import a\nx = ▮a.",
            "<repo>r<file>a.py\none = 1\n<file>lib/c.py\ntwo = 2\n<file>b.py\nimport a\nx = ▮a.",
            id="smollm2",
        ),
    ],
)
def test_golden_prompts(fmt: PromptFormat, alone: str, with_context: str) -> None:
    assert text_of(REQUEST, fmt) == alone
    assert text_of(replace(REQUEST, context=CHUNKS), fmt) == with_context


def test_without_an_anchor_nothing_was_typed() -> None:
    assert text_of(replace(REQUEST, anchor=None), QWEN) == (
        "<pre>import a\nx = a.<suf>\ny = 2\n<mid>▮"
    )


def test_the_first_request_and_the_next_share_all_before_the_middle() -> None:
    first = build_prompt(replace(REQUEST, anchor=None), ByteTokenizer(), QWEN)
    typed = replace(REQUEST, prefix=REQUEST.prefix + "bc", anchor=len(REQUEST.prefix))
    then = build_prompt(typed, ByteTokenizer(), QWEN)
    assert then.ids[: then.middle_at] == first.ids
    assert then.ids[then.middle_at :] == tuple(b"bc")


TEXT = st.text(st.sampled_from("ab(): =\n\r\t\"'é👍{}"), max_size=400)


@given(TEXT, TEXT, TEXT, st.sampled_from(FORMATS), st.sampled_from([16, 64, 256]), TEXT)
def test_one_more_character_changes_the_typed_tail_only(
    before: str, typed: str, after: str, fmt: PromptFormat, budget: int, other: str
) -> None:
    tokenizer = WordTokenizer()
    typed = (typed or "x")[: budget // 8]
    # Half a line end is no text an editor can send.
    before, typed, after = (text.replace("\r", "\r\n") for text in (before, typed, after))
    request = Request(
        before + typed,
        after,
        anchor=len(before),
        budget=Budget(prompt_tokens=budget),
        context=(ContextChunk("a.py", other),),
    )
    prompt = build_prompt(request, tokenizer, fmt)
    longer = build_prompt(replace(request, prefix=request.prefix + "y"), tokenizer, fmt)
    if longer.middle_at == prompt.middle_at:
        assert longer.ids[: longer.middle_at] == prompt.ids[: prompt.middle_at]
    else:  # the one character brought the typed text over its share
        assert len(tokenizer.encode(typed + "y")) > max(2, budget // 8)


@given(TEXT, TEXT, TEXT, st.sampled_from(FORMATS), st.integers(16, 300), st.booleans())
def test_the_budget_is_kept(
    before: str, typed: str, after: str, fmt: PromptFormat, budget: int, words: bool
) -> None:
    request = Request(
        before * 3 + typed,
        after * 3,
        anchor=3 * len(before),
        budget=Budget(prompt_tokens=budget),
        context=(ContextChunk("a.py", after), ContextChunk("b" * 300, before)),
    )
    prompt = build_prompt(request, WordTokenizer() if words else ByteTokenizer(), fmt)
    assert len(prompt.ids) <= budget
    assert prompt.middle_at <= len(prompt.ids)


@given(st.lists(st.sampled_from(SPECIALS), max_size=4), TEXT)
def test_text_never_brings_a_special_token(specials: list[str], text: str) -> None:
    hostile = "".join(specials) + text
    request = Request(
        hostile,
        hostile,
        path=hostile,
        repository=hostile,
        anchor=len(hostile) // 2,
        context=(ContextChunk(hostile, hostile),),
        budget=Budget(prompt_tokens=4096),
    )
    prompt = build_prompt(request, ByteTokenizer(), QWEN)
    found = [token for token in prompt.ids if token > 255]
    assert found in ([PRE, SUF, MID], [REPO, FILE, FILE, PRE, SUF, MID])


def test_the_left_edge_moves_in_big_steps_while_the_file_grows() -> None:
    lines = [f"value_{n} = compute({n})\n" for n in range(400)]
    edges = []
    for count in range(200, 400):
        text = "".join(lines[:count])
        request = Request(text, "", budget=Budget(prompt_tokens=1024))
        prompt = build_prompt(request, ByteTokenizer(), QWEN)
        edges.append(len(text) - (prompt.middle_at - 3))
    moves = sum(a != b for a, b in zip(edges, edges[1:], strict=False))
    assert moves <= (edges[-1] - edges[0]) // 512 + 1
    assert edges == sorted(edges)


def test_the_prefix_is_cut_at_a_line_start_and_the_suffix_at_a_line_end() -> None:
    text = "".join(f"line number {n}\n" for n in range(200))
    request = Request(text, text, budget=Budget(prompt_tokens=200))
    prefix, _, rest = text_of(request, QWEN).removeprefix("<pre>").partition("<suf>")
    suffix = rest.partition("<mid>")[0]
    assert prefix.startswith("line") and text.endswith(prefix)
    assert suffix.endswith("\n") and text.startswith(suffix)
    assert len(prefix) > 60 and len(suffix) > 30


def test_room_that_the_prefix_leaves_goes_to_the_suffix() -> None:
    text = "".join(f"line number {n}\n" for n in range(200))
    request = Request("x = ", text, budget=Budget(prompt_tokens=200))
    assert len(build_prompt(request, ByteTokenizer(), QWEN).ids) > 140


def test_a_line_of_megabytes_is_cut_before_it_is_tokenised() -> None:
    tokenizer = WordTokenizer()
    line = "abcd" * 500_000
    request = Request(line, line, context=(ContextChunk("a", line),), anchor=len(line) - 10)
    prompt = build_prompt(request, tokenizer, QWEN)
    assert 700 < len(prompt.ids) <= 1024
    assert tokenizer.encoded < 60_000
    typed = Request(line, "", anchor=0)
    tokenizer.encoded = 0
    assert len(build_prompt(typed, tokenizer, QWEN).ids) <= 1024
    assert tokenizer.encoded < 60_000


def test_the_model_sees_line_feeds_only() -> None:
    request = Request("a\r\nb\rc", "\r\nd\r\n", anchor=3, context=(ContextChunk("x", "e\r\nf"),))
    assert b"\r"[0] not in build_prompt(request, ByteTokenizer(), QWEN).ids
    assert text_of(replace(request, context=()), QWEN) == "<pre>a\n<suf>\nd\n<mid>▮b\nc"


def test_a_cursor_inside_of_a_line_end_stands_before_it() -> None:
    assert text_of(Request("a\r", "\nb"), QWEN) == "<pre>a<suf>\nb<mid>▮"


def test_typed_indentation_alone_is_held_back() -> None:
    request = Request("def f():\n    ", "", anchor=8)
    prompt = build_prompt(request, ByteTokenizer(), QWEN)
    assert prompt.ids[prompt.middle_at :] == tuple(b"\n")
    assert prompt.held_back == "    "
    more = build_prompt(replace(request, prefix="def f():\n    r"), ByteTokenizer(), QWEN)
    assert more.ids[more.middle_at :] == tuple(b"\n    r")
    assert more.held_back == ""


def test_an_anchor_in_an_indentation_stands_at_column_0() -> None:
    """So the model may leave the block, and the prompt stays when the line is typed."""
    for anchor in (None, 9, 11, 13):
        request = Request("def f():\n    ", "\nx", anchor=anchor)
        prompt = build_prompt(request, ByteTokenizer(), QWEN)
        assert text_of(request, QWEN) == "<pre>def f():\n<suf>\nx<mid>▮"
        assert prompt.held_back == "    "
    typed = Request("def f():\n    re", "\nx", anchor=13)
    assert text_of(typed, QWEN) == "<pre>def f():\n<suf>\nx<mid>▮    re"
    behind = Request("def f():\n    re", "\nx", anchor=14)
    assert text_of(behind, QWEN) == "<pre>def f():\n    r<suf>\nx<mid>▮e"


def test_typed_text_beyond_its_share_is_settled_at_the_end_of_a_word() -> None:
    typed = "alpha beta gamma delta " * 20
    request = Request("x" + typed, "", anchor=1, budget=Budget(prompt_tokens=256))
    prompt = build_prompt(request, ByteTokenizer(), QWEN)
    tail = ByteTokenizer().decode(prompt.ids[prompt.middle_at :])
    assert 0 < len(tail) <= 32 and tail.startswith(" ") and typed.endswith(tail)


def test_the_users_folders_stay_out_of_the_prompt() -> None:
    chunk = ContextChunk("/home/someone/secret project/a.py", "x")
    text = text_of(replace(REQUEST, path="C:\\Users\\someone\\b.py", context=(chunk,)), QWEN)
    assert "someone" not in text and "<file>a.py\n" in text and "<file>b.py\n" in text


def test_context_that_does_not_fit_is_left_out_or_cut_at_a_line() -> None:
    lines = "".join(f"line number {n}\n" for n in range(200))
    chunks = (ContextChunk("a.py", lines), ContextChunk("b.py", lines))
    request = Request(lines, lines, context=chunks, budget=Budget(prompt_tokens=400))
    text = text_of(request, QWEN)
    first = text.partition("<file>a.py\n")[2].partition("<file>")[0]
    assert first.endswith("\n") and lines.startswith(first)
    assert "<file>b.py" not in text
    assert len(first) < 100


def test_half_a_set_of_fim_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="all of prefix, suffix and middle"):
        replace(QWEN, middle=None)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("before", [10, 100_000])
def test_context_takes_no_more_than_its_share(fmt: PromptFormat, before: int) -> None:
    request = Request("x = 1\n" * before, "", path="b.py", budget=Budget(1024))
    full = replace(request, context=(ContextChunk("a.py", "one = 1\n" * 1000),))
    text = ByteTokenizer().decode(build_prompt(full, ByteTokenizer(), fmt).ids)
    share = context_share(request)
    assert text.count("one = 1\n") * 8 <= share
    if fmt.file_sep is not None or fmt.path_comment:
        assert text.count("one = 1\n") * 8 > share * 0.8
