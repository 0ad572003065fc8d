"""The hash chain over audit rows: each hash covers the row and the hash before it, so an edit anywhere shows.

What it cannot show by itself is that the newest rows were cut off. Who keeps a head (the sequence number and hash of a
row) elsewhere can: the row must still be there, with that hash.
"""

from __future__ import annotations

import hashlib
import re  # noqa: TID251 - fixed pattern, never a user's
from collections.abc import Iterable
from dataclasses import dataclass

from bot.audit.model import Entry

GENESIS = "0" * 64
_HEAD = re.compile(r"([1-9]\d{0,17}):([0-9a-f]{64})")


@dataclass(frozen=True)
class Head:
    """The newest row at some time, or the row that somebody remembers."""

    sequence: int
    hash: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"


def parse_head(text: str) -> Head:
    """`SEQUENCE:HASH`, as `audit head` prints it. Raises ValueError with the way out."""
    match = _HEAD.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text}" is not a head; write SEQUENCE:HASH as `agentpager audit head` prints it')
    return Head(int(match[1]), match[2])


def link(previous: str, entry: Entry) -> str:
    """SHA-256 over the previous hash and the entry's canonical JSON."""
    return link_text(previous, canonical(entry))


def canonical(entry: Entry) -> str:
    """The text that is written down and hashed: its JSON, in the field order of the model."""
    return entry.model_dump_json()


def link_text(previous: str, text: str) -> str:
    """The hash of a row by the text that was written down: what a later release adds to the model breaks no old row."""
    return hashlib.sha256(previous.encode() + text.encode()).hexdigest()


class Chain:
    """Follows the rows from the first on, one at a time. `broken` is the first that does not follow from those before
    it; what comes behind it is not looked at. `missing` says that a remembered head was not met."""

    def __init__(self, remembered: Head | None = None) -> None:
        self.rows = 0
        self.broken: int | None = None
        self._previous = GENESIS
        self._remembered = remembered
        self._met = remembered is None

    def follow(self, sequence: int, text: str, written: str) -> bool:
        """False when the row is broken, or one before it was."""
        if self.broken is None:
            if sequence != self.rows + 1 or link_text(self._previous, text) != written:
                self.broken = sequence
            else:
                self.rows, self._previous = sequence, written
                self._met = self._met or self.head == self._remembered
        return self.broken is None

    @property
    def head(self) -> Head | None:
        return Head(self.rows, self._previous) if self.rows else None

    @property
    def missing(self) -> Head | None:
        return None if self._met else self._remembered


def first_broken(rows: Iterable[tuple[int, Entry, str]]) -> int | None:
    """The sequence number of the first row whose hash does not follow from those before it, or None."""
    chain = Chain()
    for sequence, entry, written in rows:
        if not chain.follow(sequence, canonical(entry), written):
            break
    return chain.broken
