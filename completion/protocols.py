"""The borders between polydraft's parts, as protocols: nothing here computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from polydraft.completion.types import (
    CancelToken,
    Completion,
    Deadline,
    OnDraft,
    OnDrafts,
    OnText,
    Request,
)

if TYPE_CHECKING:  # who only names a protocol does not wait for torch to load
    import torch

    from polydraft.completion.monitor import Monitoring
    from polydraft.completion.ngram_index import NGramIndex


@dataclass(frozen=True, slots=True)
class Feed:
    """New positions for one forward pass over a cache that holds L slots.

    Rows of a draft tree share one cache: `visible` says which slots each new position may see, so
    siblings do not see each other and the prefix is stored once.
    """

    embeddings: torch.Tensor | None  # [M, D], or None: look up `ids`
    ids: torch.Tensor | None  # [M] int64
    positions: torch.Tensor  # [M] int64, position in the text (siblings share one)
    visible: torch.Tensor | None  # [M, L + M] bool, or None: causal after all L slots
    logits_from: int = 0  # logits are computed for the new positions from this one on
    # Sublayers left out, if the model can: 2 i is layer i's attention, 2 i + 1 its MLP. The slots
    # of such a pass hold no keys and values of the attention left out: they have to be dropped.
    skip: frozenset[int] = frozenset()


class Cache(Protocol):
    """A preallocated key-value cache, one slot a token, for one sequence with branches."""

    @property
    def length(self) -> int: ...

    def crop(self, length: int) -> None:
        """Forget all slots from `length` on."""

    def keep(self, length: int, slots: Sequence[int]) -> None:
        """Keep the first `length` slots and, moved up behind them, `slots` in order."""


class Model(Protocol):
    """An exact causal language model."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def max_positions(self) -> int: ...

    @property
    def prefill_chunk(self) -> int:
        """Prompt tokens that one pass should take: a cancel is noticed between passes."""

    def new_cache(self) -> Cache: ...

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """ids [...] -> input embeddings [..., D]."""

    def forward(self, cache: Cache, feed: Feed) -> torch.Tensor:
        """Append M slots to the cache and return logits [M - logits_from, V] in float32."""


class Tokenizer(Protocol):
    """Text to ids and back. User text is always encoded with special tokens off."""

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: Sequence[int]) -> str: ...

    def special(self, token: str) -> int:
        """The id of a special token; KeyError if the vocabulary lacks it."""

    @property
    def specials(self) -> Mapping[str, int]:
        """Added token -> id."""

    def token_bytes(self, index: int) -> bytes:
        """The UTF-8 bytes that a token stands for, perhaps a part of a character."""

    def __len__(self) -> int:
        """One more than the highest id."""


class Decoder(Protocol):
    """The half of a tokenizer that the end rules need."""

    def decode(self, ids: Sequence[int]) -> str: ...


class Completer(Protocol):
    """What the server and the command line need of the engine: text in, drafts out.

    `complete` blocks (run it on the engine's own thread), calls `on_draft` with the draft that
    leads the list as soon as it is finished and `on_text` with the text of the likeliest as far as
    it has come (a hint for those whose user types on: it may be seldom, or never), raises
    `Cancelled` within one decode step of `cancel`, and returns what it has when the deadline
    passes. A pair of models calls `on_drafts` with the small one's drafts when the large one is
    about to judge them: draft i of what is returned then stands for draft i of these, improved or
    as it was.
    `workspace` is an index of the caller's, in this completer's ids: the completer keeps no text.
    `monitoring` gives static analysis its say in what the drafts write.
    """

    @property
    def tokenizer_id(self) -> str:
        """Equal for completers whose token ids mean the same, in any process."""

    def encode(self, text: str) -> list[int]:
        """The token ids of a piece of text, for a `NGramIndex`."""

    def complete(
        self,
        request: Request,
        *,
        cancel: CancelToken | None = None,
        deadline: Deadline | None = None,
        on_draft: OnDraft | None = None,
        on_text: OnText | None = None,
        on_drafts: OnDrafts | None = None,
        workspace: NGramIndex | None = None,
        waiting: int = 0,
        monitoring: Monitoring | None = None,
    ) -> Completion: ...

    def prefill(self, request: Request, *, cancel: CancelToken | None = None) -> None:
        """Bring the request's prompt into the KV cache, for use in idle time."""
