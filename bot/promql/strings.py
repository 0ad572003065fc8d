"""Label names and values as small numbers, so that grouping and matching run on arrays. 0 is the empty string.

A pool only grows; the store starts a new one when most of it is garbage, and spaces of the old one are re-coded then.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int32]


class Pool:
    """Not locked: `code` is a dict read first, and both writers hold the interpreter's lock while they add."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {"": 0}
        self._texts: list[str] = [""]

    def __len__(self) -> int:
        return len(self._texts)

    def code(self, text: str) -> int:
        """The number of this text, given out now if it is new."""
        found = self._codes.get(text)
        if found is not None:
            return found
        # setdefault settles a race of two threads; the loser's slot in the list stays unused.
        self._texts.append(text)
        fresh = len(self._texts) - 1
        while self._texts[fresh] is not text:
            fresh -= 1
        return self._codes.setdefault(text, fresh)

    def find(self, text: str) -> int:
        """The number of this text, or -1 when nobody has it."""
        return self._codes.get(text, -1)

    def text(self, code: int) -> str:
        return self._texts[code]

    def texts(self, codes: Iterable[int]) -> list[str]:
        return [self._texts[code] for code in codes]

    def encode(self, texts: Iterable[str]) -> Codes:
        return np.fromiter((self.code(text) for text in texts), np.int32)
