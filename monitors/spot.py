"""Where a draft stands: the page around it and how far it has come. Pure text, no tokens.

Glossary
    page    the document around a draft, as it is in the editor, with what is asked of it often
    spot    a page and a draft's text so far
    head    what stands before the spot: the page's and the draft's
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

from polydraft.completion.brackets import (
    CLOSER_OF,
    Scan,
    is_quote,
    missing_closers,
    open_closers,
    scan,
    stray_closers,
)
from polydraft.monitors.analysis import Buffer, Question
from polydraft.monitors.grammar import Grammar, grammar_of

_WINDOW = 12_000  # code points scanned before the draft
_BELOW = 2_000  # and behind it
_LOOK_BACK = 2_000  # code points before a spot that rules read
_CLASS = re.compile(r"^([ \t]*)class\b", re.MULTILINE)


class Page:
    """A document with a hole: `before` and `after` it, and the editor's other documents.

    `others` are those with unsaved text. Shared by all spots of a request, from several threads.
    """

    def __init__(
        self,
        path: str,
        language: str,
        before: str,
        after: str,
        others: tuple[Buffer, ...] = (),
    ) -> None:
        self.path = path
        self.language = language
        self.before = before
        self.after = after
        self.others = others
        self.grammar: Grammar = grammar_of(language)
        self._members: dict[str, frozenset[str]] = {}
        self._keys: dict[str, frozenset[str]] = {}
        self._scan = scan(before[-_WINDOW:], language)

    @property
    def inside(self) -> str:
        """What string or comment the hole is in: the opener, or "" for code."""
        return self._scan.inside

    @cached_property
    def opened(self) -> tuple[tuple[int, str], ...]:
        """The brackets that are open at the hole, outermost first, as `Scan.events`."""
        opener_of = {closer: opener for opener, closer in CLOSER_OF.items()}
        return tuple((0, opener_of[closer]) for closer in open_closers(self._scan.events))

    @cached_property
    def due(self) -> tuple[str, ...]:
        """The closers due at the hole that nothing behind it brings, outermost first."""
        due = open_closers(self._scan.events)[::-1]
        later = stray_closers(scan(self.below[:_BELOW], self.language).events)
        return tuple(missing_closers(due, later)[::-1])

    @cached_property
    def line(self) -> str:
        """The cursor's line as far as it stands before the hole."""
        return self.before[self.before.rfind("\n") + 1 :]

    @cached_property
    def fingerprint(self) -> tuple[str, str]:
        """Stands for the path and for all that an analyser reads beside the hole's line."""
        hashed = blake2b(digest_size=16)
        above = self.before[: len(self.before) - len(self.line)]
        for text in (self.language, above, self.below, *_flat(self.others)):
            hashed.update(text.encode("utf-8", "surrogatepass"))
            hashed.update(b"\0")
        return self.path, hashed.hexdigest()

    @cached_property
    def others_fingerprint(self) -> str:
        """Stands for the text of the editor's other documents."""
        hashed = blake2b(digest_size=16)
        for text in _flat(self.others):
            hashed.update(text.encode("utf-8", "surrogatepass"))
        return hashed.hexdigest()

    @cached_property
    def below(self) -> str:
        """What stands on the lines below the hole's."""
        return self.after.partition("\n")[2]

    @cached_property
    def cut_name(self) -> str:
        """What stands right behind the hole of a name that it may be in the middle of."""
        return self.grammar.name_at_start(self.after)

    @cached_property
    def _text(self) -> str:
        """The page without the name at the hole, which is still being typed."""
        return f"{self._above}\n{self._behind}"

    @cached_property
    def _above(self) -> str:
        typed = self.grammar.name_at_end(self.before)
        return self.before[: len(self.before) - len(typed)]

    @cached_property
    def _behind(self) -> str:
        return self.after[len(self.cut_name) :]

    @cached_property
    def members(self) -> frozenset[str]:
        """Every name that stands behind an operator somewhere on the page."""
        return frozenset(self.grammar.member.findall(self._text))

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """Every name on the page, comments and strings included."""
        return frozenset(self.grammar.name.findall(self._text))

    def members_of(self, receiver: str) -> frozenset[str]:
        """The names that stand behind `receiver`, a dotted path, somewhere on the page.

        Of one's own instance: somewhere in the class that the hole is in.
        """
        if receiver not in self._members:
            root = self.grammar.name_at_start(receiver)
            text = self._class if root in self.grammar.instances else self._text
            self._members[receiver] = frozenset(self.grammar.members_of(receiver).findall(text))
        return self._members[receiver]

    def keys_of(self, receiver: str) -> frozenset[str]:
        """What strings begin with that stand in brackets behind `receiver` on the page."""
        if receiver not in self._keys:
            keys = re.compile(rf"(?<![\w.]){re.escape(receiver)}\[\s*['\"](\w+)")
            found = frozenset(keys.findall(self.before)).union(keys.findall(self.after))
            self._keys[receiver] = found
        return self._keys[receiver]

    @cached_property
    def _class(self) -> str:
        """The class that the hole is in, as far as indentation tells; all, if it is in none."""
        depth, below = _depth(self.line), f"\n{self._behind}"
        for begun in reversed([*_CLASS.finditer(self._above)]):
            indent = len(begun.group(1))
            outside = re.compile(rf"\n[ \t]{{0,{indent}}}[^\s)\]}}#]")
            if indent < depth and not outside.search(self._above, begun.end()):
                ended = outside.search(below, 1)
                return self._above[begun.start() :] + below[: ended.start() if ended else None]
        return self._text


@dataclass(frozen=True)
class Spot:
    """`draft` is the text so far; `partial` the bytes of a character that is not whole yet."""

    page: Page
    draft: str
    partial: bytes = b""

    @cached_property
    def head(self) -> str:
        """The last of what stands before the spot."""
        missing = _LOOK_BACK - len(self.draft)
        return self.page.before[-missing:] + self.draft if missing > 0 else self.draft

    @property
    def inside(self) -> str:
        """What string or comment the spot is in."""
        return self._scan.inside

    @cached_property
    def depth(self) -> int:
        """How many brackets are open."""
        return len(open_closers((*self.page.opened, *self._scan.events)))

    @property
    def bracketed(self) -> bool:
        """Whether a bracket is open."""
        return self.depth > 0

    @cached_property
    def _scan(self) -> Scan:
        return scan(self.draft, self.page.language, self.page.inside)

    def members_of(self, receiver: str, behind: int) -> frozenset[str]:
        """As `Page.members_of`, in the draft up to `behind` code points before the spot."""
        draft = self.draft[: max(0, len(self.draft) - behind)]
        return frozenset(self.page.grammar.members_of(receiver).findall(draft))

    def question(self, cut: int = 0, insert: str = "") -> Question:
        """What may stand behind `insert` in place of the last `cut` code points before the spot.

        Brackets and strings are closed and the rest of the line is left out: an analyser reads
        what it would if the user had stopped to type here.
        """
        head = self.page.before + self.draft
        head = head[: len(head) - cut] + insert
        draft = head[len(self.page.before) :]
        found = scan(draft, self.page.language, self.page.inside)
        quote = found.inside if is_quote(found.inside) else ""
        closers = quote + "".join(reversed((*self.page.due, *open_closers(found.events))))
        # In brackets a line goes on with the next: what is below would be read as the member.
        stop = self.page.grammar.stop if head.endswith(self.page.grammar.operators) else ""
        text = f"{head}{stop}{closers}\n{self.page.below}"
        buffer = Buffer(self.page.path, self.page.language, text)
        return Question(buffer, len(head), self.page.others)


def _depth(line: str) -> int:
    """Code points of white space that a line begins with."""
    return len(line) - len(line.lstrip())


def _flat(buffers: tuple[Buffer, ...]) -> Iterator[str]:
    for buffer in buffers:
        yield buffer.path
        yield buffer.text
