"""Small helpers around asyncio's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress


def promise() -> asyncio.Future[None]:
    """Something that will happen."""
    return asyncio.get_running_loop().create_future()


def keep(promised: asyncio.Future[None]) -> None:
    """It has happened, perhaps again."""
    if not promised.done():
        promised.set_result(None)


async def either(one: asyncio.Future[None], other: asyncio.Future[None]) -> None:
    """Wait until one of the two is done."""
    await asyncio.wait({one, other}, return_when=asyncio.FIRST_COMPLETED)


def later(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: object) -> None:
    """Call on the loop's thread, from any thread."""
    with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
        loop.call_soon_threadsafe(call, *arguments)
