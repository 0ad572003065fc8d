"""The hash chain over audit rows: each hash covers the row and the hash before it, so an edit anywhere shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from bot.audit.model import Entry

GENESIS = "0" * 64


def link(previous: str, entry: Entry) -> str:
    """SHA-256 over the previous hash and the entry's canonical JSON (field order of the model)."""
    return hashlib.sha256(previous.encode() + entry.model_dump_json().encode()).hexdigest()


def first_broken(rows: Iterable[tuple[int, Entry, str]]) -> int | None:
    """The sequence number of the first row whose hash does not follow from those before it, or None."""
    previous = GENESIS
    for number, (sequence, entry, written) in enumerate(rows, start=1):
        if sequence != number or link(previous, entry) != written:
            return sequence
        previous = written
    return None
