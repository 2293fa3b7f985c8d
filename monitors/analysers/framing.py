"""Messages of JSON-RPC as language servers frame them: a header with the length, then the body."""

from __future__ import annotations

import json
from typing import IO, Any

_LARGEST = 64_000_000  # bytes; no answer is that long
_LONGEST_LINE = 4096


def framed(message: object) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def read_message(output: IO[bytes]) -> dict[str, Any] | None:
    """The next message; None at the end, `ValueError` if what comes is none."""
    length = None
    while True:
        line = output.readline(_LONGEST_LINE)
        if not line:
            return None
        if not line.strip():
            break
        name, colon, value = line.partition(b":")
        if not colon:
            raise ValueError(f"no header: {line[:40]!r}")
        if name.strip().lower() == b"content-length":
            length = int(value)
    if length is None or not 0 <= length <= _LARGEST:
        raise ValueError("a message of no length")
    body = output.read(length)
    if len(body) < length:
        return None
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("a message is no object")
    return message
