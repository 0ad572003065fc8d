"""Calendars that people subscribe to: the secret in an address, and which days it shows. Pure."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal, get_args
from urllib.parse import quote

from bot.errors import UsageError
from bot.oncall.model import Book

Kind = Literal["person", "schedule"]
KEY = "calendars"
BACK, AHEAD = timedelta(days=30), timedelta(days=90)
_SIGNS = 32  # of a token: 192 bits


def parse(target: str, book: Book) -> tuple[Kind, str]:
    """`person:ana` or `schedule:payments`. Raises UsageError when there is no such thing."""
    text, _, name = target.partition(":")
    for kind in get_args(Kind):
        if text == kind:
            if exists(kind, name, book):
                return kind, name
            raise UsageError(f'there is no {kind} "{name}" in oncall/')
    raise UsageError(f'"{target}" has no calendar; write person:ID or schedule:ID')


def exists(kind: str, name: str, book: Book) -> bool:
    return (kind == "person" and name in book.people) or (kind == "schedule" and name in book.schedules)


def epoch_key(kind: str, name: str) -> str:
    """Under which name the store keeps what a revocation changes; of one length, whatever the id."""
    return f"calendar-epoch:{sha256(f'{kind}:{name}'.encode()).hexdigest()[:40]}"


def token_of(key: str, kind: str, name: str, epoch: str) -> str:
    digest = hmac.new(key.encode(), f"{kind}\0{name}\0{epoch}".encode(), sha256).digest()
    return urlsafe_b64encode(digest).decode()[:_SIGNS]


def is_token(given: str, key: str, kind: str, name: str, epoch: str) -> bool:
    return hmac.compare_digest(given.encode(), token_of(key, kind, name, epoch).encode())


def path_of(token: str, kind: str, name: str) -> str:
    return f"/calendar/{token}/{kind}/{quote(name, safe='')}.ics"


def window(now: datetime) -> tuple[datetime, datetime]:
    """At least 30 days back and 90 ahead, in whole months: who is on duty all the time has an event that begins where
    the window does, and it must not be another one every day."""
    start, end = now - BACK, now + AHEAD
    return _month(start), _month(_month(end) + timedelta(days=32))


def _month(at: datetime) -> datetime:
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
