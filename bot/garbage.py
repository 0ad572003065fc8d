"""When the collector may walk all objects: not while scrapes or clicks wait, nor while many are being made.

A configuration, its rules and their series live until the next one, which frees them by reference counts: rules and
groups stay free of cycles.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_OFTEN_ENOUGH = (20_000, 20, 50)
_SETTLED_AFTER = (15.0, 60.0, 600.0)


@contextmanager
def let_lie() -> Iterator[None]:
    """What is made here stays; it is looked at neither now nor later."""
    gc.collect(1)  # what is garbage by now would stay as well
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


async def set_aside() -> None:
    """What lives this long stays, too: series of the first scrapes, alerts of the first rounds."""
    gc.set_threshold(*_OFTEN_ENOUGH)
    for seconds in _SETTLED_AFTER:
        await asyncio.sleep(seconds)
        gc.freeze()
