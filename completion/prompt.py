"""From a request to token ids: fill-in-the-middle in PSM order, anchored.

    [context files] <prefix> P0 <suffix> S <middle> typed

P0 ends at the anchor, where the cursor stood when this spell of typing began; `typed` is what came
since. A keystroke changes `typed` alone, so the KV cache keeps everything before it, and the model
sees what it saw in training: a middle that has begun.

Three rules keep the rest of the prompt still. The share of each part depends on the budget and on
texts that do not change while the user types. The left edge of P0 moves in big steps only. And
the text of a document is never tokenised at full length: it is first cut by characters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from polydraft.completion.protocols import Tokenizer
from polydraft.completion.types import ContextChunk, Request
from polydraft.completion.view import to_unix

_CHARS_PER_TOKEN = 6  # more text than this for a token of budget is not even tokenised
_LEAST_CHUNK = 24  # tokens: a context chunk cut to less says nothing


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """How one family of models wants its prompt, in token ids; None: the family has no such token.

    Where `prefix`, `suffix` and `middle` are None the prompt is the prefix alone. Context files
    are given behind `file_sep` tokens, or as "#path" comments (`path_comment`), or not at all.
    """

    prefix: int | None
    suffix: int | None
    middle: int | None
    bos: int | None
    repo_name: int | None
    file_sep: int | None
    stops: frozenset[int]
    path_comment: bool
    repo_newline: bool = True  # a line end follows the name of the repository (Qwen)
    path_in_prefix: bool = False  # the prefix token follows `file_sep` (StarCoder2), not the path

    def __post_init__(self) -> None:
        given = [token is not None for token in (self.prefix, self.suffix, self.middle)]
        if any(given) and not all(given):
            raise ValueError("give all of prefix, suffix and middle, or none of them")

    @property
    def has_fim(self) -> bool:
        return self.middle is not None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt in token ids; those from `middle_at` on were typed since the anchor.

    `held_back` is white space before the cursor that is not in `ids`: see `_hold_back`.
    """

    ids: tuple[int, ...]
    middle_at: int
    held_back: str = ""


def build_prompt(request: Request, tokenizer: Tokenizer, fmt: PromptFormat) -> Prompt:
    """Build the prompt for `request`, of at most `request.budget.prompt_tokens` tokens."""
    if request.prefix.endswith("\r") and request.suffix.startswith("\n"):
        request = _before_line_end(request)
    budget = request.budget.prompt_tokens
    typed_share = _typed_share(budget)
    anchor, typed, held_back = _typed(request, tokenizer, typed_share)
    room = budget - typed_share - 4  # the three FIM tokens and the first token of all

    header, open_file = _context(request, tokenizer, fmt, _context_share(request, anchor, room))
    room -= len(header) + len(open_file)

    after = to_unix(request.suffix[: budget * _CHARS_PER_TOKEN].removesuffix("\r"))
    suffix: list[int] = []
    whole_suffix = True
    if fmt.has_fim:
        suffix, whole_suffix = _fit_text(after, room // 4, tokenizer)
    prefix = _fit_prefix(request, anchor, room - len(suffix), tokenizer)
    if not whole_suffix and len(prefix) + len(suffix) < room:
        suffix, _ = _fit_text(after, room - len(prefix), tokenizer)

    if fmt.has_fim:
        fim = (_only(fmt.prefix), _only(fmt.suffix), _only(fmt.middle))
        if fmt.path_in_prefix:
            head = [*header, *open_file[:1], fim[0], *open_file[1:], *prefix]
        elif fmt.path_comment:
            # These models saw a repository as one text, with the gap cut out of it afterwards.
            head = [fim[0], *header, *open_file, *prefix]
        else:
            head = [*header, *open_file, fim[0], *prefix]
        head += [fim[1], *suffix, fim[2]]
    else:
        head = [*header, *open_file, *prefix]
    if fmt.bos is not None:
        head.insert(0, fmt.bos)
    return Prompt((*head, *typed), len(head), held_back)


def _before_line_end(request: Request) -> Request:
    """The same request with a cursor that stands inside of a "\\r\\n" moved before it."""
    prefix = request.prefix[:-1]
    anchor = None if request.anchor is None else min(request.anchor, len(prefix))
    return replace(request, prefix=prefix, suffix="\r" + request.suffix, anchor=anchor)


def _only(token: int | None) -> int:
    assert token is not None  # PromptFormat checks that the three come together
    return token


def context_share(request: Request) -> int:
    """About how many tokens of the prompt are for `request.context`, whatever that will be."""
    budget = request.budget.prompt_tokens
    room = budget - _typed_share(budget) - 4
    return _context_share(request, len(request.prefix), room)


def _typed_share(budget: int) -> int:
    return max(2, budget // 8)


# What was typed ---------------------------------------------------------------------------------


def _typed(request: Request, tokenizer: Tokenizer, share: int) -> tuple[int, list[int], str]:
    """The anchor in effect (an offset into the prefix), the ids typed since, what is held back.

    Text typed beyond the share counts as settled: the anchor moves up in steps of `2 * share`
    code points, to the end of a word where one ends within the step, so that a long spell of
    typing costs a new prompt once a step and not once a keystroke.
    """
    anchor = len(request.prefix) if request.anchor is None else request.anchor
    anchor = out_of_indentation(request.prefix, anchor)
    step = 2 * share
    excess = len(request.prefix) - anchor - share * _CHARS_PER_TOKEN
    moved = max(0, -(-excess // step))
    while True:
        at = min(anchor + moved * step, len(request.prefix))
        if moved:
            at = _word_end(request.prefix, at, min(at + step, len(request.prefix)))
        if request.prefix[at - 1 : at + 1] == "\r\n":
            at -= 1
        at_line_start = at == 0 or request.prefix[at - 1] in "\r\n"
        text, held_back = _hold_back(to_unix(request.prefix[at:]), at_line_start)
        ids = tokenizer.encode(text) if text else []
        if len(ids) <= share:
            return at, ids, held_back
        moved += 1


def _word_end(text: str, start: int, end: int) -> int:
    for at in range(start, end):
        if text[at].isspace():
            return at
    return start


def out_of_indentation(prefix: str, anchor: int) -> int:
    """The beginning of the anchor's line, if nothing but white space stands between.

    There the prompt ends while that line is blank, and stays as it is when its indentation changes.
    """
    start = prefix.rfind("\n", 0, anchor) + 1
    return start if prefix[start:anchor].isspace() else anchor


def _hold_back(typed: str, at_line_start: bool) -> tuple[str, str]:
    """Split off the indentation of a line on which nothing else was typed yet.

    Tokenizers join the last space of an indentation with the word behind it, so a model that is
    given the indentation alone tends to write another space. It gets the line end, and generates
    from column 0, so that it may also leave the block that the cursor stands in.
    """
    line_start = typed.rfind("\n") + 1
    if (line_start or at_line_start) and typed[line_start:].strip(" \t") == "":
        return typed[:line_start], typed[line_start:]
    return typed, ""


# Prefix and suffix ------------------------------------------------------------------------------


def _fit_prefix(request: Request, anchor: int, room: int, tokenizer: Tokenizer) -> list[int]:
    """The ids of the text up to the anchor, from a left edge that moves in big steps.

    Candidate edges stand at multiples of a step, each moved to the next line start where the step
    holds one; the leftmost one that fits is taken. The step depends on the budget alone (half as
    many code points as the whole budget has tokens), so edges stay where they are while the anchor
    moves on and the rooms of the other parts change a little. Finer steps are for dense text.
    """
    if room <= 0 or anchor == 0:
        return []
    ids: list[int] = []
    for share in (2, 8, 32):
        step = max(1, request.budget.prompt_tokens // share)
        first = max(0, -(-(anchor - room * _CHARS_PER_TOKEN) // step))
        edges = [_edge(request.prefix, n, step, anchor) for n in range(first, anchor // step + 1)]
        # Counted piece by piece, so that a piece counts the same wherever the anchor is.
        pieces = zip(edges, [*edges[1:], anchor], strict=True)
        counts = [len(tokenizer.encode(to_unix(request.prefix[a:b]))) for a, b in pieces]
        left = sum(counts)
        for edge, count in zip(edges, counts, strict=True):
            if left <= room and edge < anchor:
                ids = tokenizer.encode(to_unix(request.prefix[edge:anchor]))
                if len(ids) <= room:
                    return ids
            left -= count
    nearest = request.prefix[max(0, anchor - room) : anchor]
    return ids[-room:] or tokenizer.encode(to_unix(nearest))[-room:]


def _edge(prefix: str, number: int, step: int, anchor: int) -> int:
    at = min(number * step, anchor)
    if at == 0:
        return 0
    line = prefix.find("\n", at - 1, min(at + step, anchor))
    return line + 1 if line >= 0 else at


def _fit_text(after: str, room: int, tokenizer: Tokenizer) -> tuple[list[int], bool]:
    """The ids of the head of `after`, cut at a line end; and whether that was all of it."""
    text = after
    limit = room * _CHARS_PER_TOKEN
    while room > 0:
        if len(text) > limit:
            line = text.rfind("\n", 0, limit)
            text = text[: line + 1] if line >= 0 else text[:limit]
        ids = tokenizer.encode(text) if text else []
        if len(ids) <= room:
            return ids, len(text) == len(after)
        limit = min(len(text) - 1, int(len(text) * room / len(ids) * 0.95))
    return [], not after


# Context files ----------------------------------------------------------------------------------


def _context_share(request: Request, anchor: int, room: int) -> int:
    """Tokens for other files: a quarter, or half where the file itself is certain to be short.

    Two steps and no more: a share that followed the length of the file would change the cut of
    the context, which stands at the head of the prompt, with every line written.
    """
    short = anchor + len(request.suffix) < room // 2
    return room // 2 if short else room // 4


def _context(
    request: Request, tokenizer: Tokenizer, fmt: PromptFormat, share: int
) -> tuple[list[int], list[int]]:
    """The ids of the context files, and those that name the file being edited; at most `share`."""
    if not request.context or not (fmt.file_sep is not None or fmt.path_comment):
        return [], []
    open_file = _file_head(request.path, tokenizer, fmt)
    ids: list[int] = []
    if fmt.repo_name is not None:
        line_end = "\n" if fmt.repo_newline else ""
        name = _shown(request.repository or "project")
        ids = [fmt.repo_name, *tokenizer.encode(name + line_end)]
    taken = 0
    for chunk in request.context:
        left = share - len(ids) - len(open_file)
        chunk_ids = _chunk(chunk, left, tokenizer, fmt)
        if not chunk_ids:
            break
        ids += chunk_ids
        taken += 1
    return (ids, open_file) if taken else ([], [])


def _chunk(chunk: ContextChunk, room: int, tokenizer: Tokenizer, fmt: PromptFormat) -> list[int]:
    head = _file_head(chunk.path, tokenizer, fmt)
    room -= len(head)
    if room <= 0:
        return []
    text = to_unix(chunk.text[: room * _CHARS_PER_TOKEN * 2]).rstrip("\n") + "\n"
    body, whole = _fit_text(text, room, tokenizer)
    if not body or (not whole and room < _LEAST_CHUNK):
        return []
    return head + body


def _file_head(path: str, tokenizer: Tokenizer, fmt: PromptFormat) -> list[int]:
    shown = _shown(path)
    if fmt.file_sep is not None:
        return [fmt.file_sep, *tokenizer.encode(f"{shown}\n")]
    return tokenizer.encode(f"#{shown}\n")


def _shown(path: str) -> str:
    """A path as the model sees it: relative, with slashes, on one line."""
    slashed = path.replace("\\", "/")
    if slashed.startswith("/") or slashed[1:2] == ":":
        slashed = PurePosixPath(slashed).name  # the rest of it is the user's own business
    return "".join(char for char in slashed if char.isprintable())[-200:] or "untitled"
