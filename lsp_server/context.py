"""Chooses text of other files for the prompt, as much as the context's share of it holds.

Definitions of imported files (as outlines, see `signatures.py`), chunks of files visited of late
and chunks of other open files stand in one ranked list (`candidates.py`); the best are taken.

The choice is deterministic, and sticky: what was chosen before stays until something clearly better
turns up, because context stands at the head of the prompt, and another context means an empty KV
cache. For the same reason what is chosen stands in the order of files and lines, not of ranks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from polydraft.completion.prompt import context_share
from polydraft.completion.types import ContextChunk, Request
from polydraft.lsp_server.candidates import Piece, Surrounding, Workspace, candidates
from polydraft.lsp_server.ignore import IgnoreRules
from polydraft.lsp_server.source_files import LARGEST_FILE, FileCache, similarity

_CHARS_PER_TOKEN = 3.6  # of outlines
_HEADING_TOKENS = 3  # around a file's name
_LEAST_ROOM = 60  # characters: less is not worth a file's name
_LARGEST = 1 / 2  # of all room: a longer definition is shortened
_LEAST_SCORE = 0.03
_NEAR_DUPLICATE = 0.9
_STICKINESS = 1.5


def gather(
    root: Path | None,
    path: Path,
    request: Request,
    open_documents: Mapping[Path, str],
    recent: Sequence[Path],
    rules: IgnoreRules,
    *,
    previous: Sequence[ContextChunk] = (),
    files: FileCache | None = None,
) -> tuple[ContextChunk, ...]:
    """The context of `request`, a completion in the file `path`: about its share of the budget.

    `open_documents` are texts as edited, by path; the one under `path`, if there, tells what the
    file imports. `recent` are files visited before, the latest first. Without a `root` nothing is
    read from disk. Nothing that `rules` exclude is used, open or not. `previous` is the last
    choice for this file; pass `files` to keep what was read.
    """
    here = Surrounding.of(request)
    if not here.around:
        return ()
    source = open_documents.get(path, request.prefix + request.suffix)[:LARGEST_FILE]
    workspace = Workspace(
        root, path, open_documents, rules, FileCache() if files is None else files
    )
    pieces = candidates(workspace, source, recent, here)
    room = round(context_share(request) * _CHARS_PER_TOKEN) - _heading(request.path)
    return choose(pieces, previous, room)


def choose(
    pieces: Iterable[Piece], previous: Sequence[ContextChunk], room: int
) -> tuple[ContextChunk, ...]:
    """The best pieces that fit into `room` characters, those of a file as one chunk."""
    before: dict[str, str] = {}
    for chunk in previous:
        before[chunk.path] = before.get(chunk.path, "") + chunk.text
    scored: list[tuple[float, Piece]] = []
    for piece in pieces:
        kept = any(_opening(text) in before.get(piece.path, "") for text in piece.texts)
        score = piece.score * _STICKINESS + _LEAST_SCORE if kept else piece.score
        if score >= _LEAST_SCORE:
            scored.append((score, piece))
    scored.sort(key=lambda pair: (-pair[0], pair[1].place))
    chosen: list[Piece] = []
    left, named = room, set[str]()
    for _, piece in scored:
        if left < _LEAST_ROOM:
            break
        if any(similarity(piece.names, other.names) > _NEAR_DUPLICATE for other in chosen):
            continue
        heading = 0 if piece.path in named else _heading(piece.path)
        text = _fitting(piece.texts, left - heading, round(room * _LARGEST))
        if text:
            chosen.append(replace(piece, texts=(text,)))
            named.add(piece.path)
            left -= heading + len(text)
    chosen.sort(key=lambda piece: piece.place)
    return tuple(
        ContextChunk(path, "".join(piece.texts[0] for piece in group))
        for (_, path), group in groupby(chosen, key=lambda piece: (piece.origin, piece.path))
    )


def _heading(path: str) -> int:
    """Characters that stand for what a file's name takes of the prompt."""
    return len(path) + round(_HEADING_TOKENS * _CHARS_PER_TOKEN)


def _fitting(texts: Sequence[str], left: int, longest: int) -> str:
    """The first of the texts of at most `longest` characters; else the last one.

    If that does not fit, whole lines of it, but at least three: a head alone says little.
    """
    for text in texts:
        if len(text) <= min(left, longest):
            return text
    last = texts[-1]
    if len(last) <= left:
        return last
    part = last[: last.rfind("\n", 0, max(left, 0)) + 1]
    return part if part.count("\n") >= 3 else ""


def _opening(text: str) -> str:
    """Enough to tell a piece by, however much of it was taken."""
    return "".join(text.splitlines(keepends=True)[:3])
