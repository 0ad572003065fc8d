"""The token of an acknowledgement link: which page it belongs to, until when it holds, and a signature over that page,
its incident and its person. That it works once is the database's doing."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.paging.model import Page

_LONGEST = 600  # characters


@dataclass(frozen=True)
class Claim:
    page_id: str
    until: datetime
    signature: bytes


def token_of(key: str, page: Page, until: datetime) -> str:
    seconds = int(until.timestamp())
    return f"{_text(f'{seconds}.{page.id}'.encode())}.{_text(_signature(key, page, seconds))}"


def read(token: str) -> Claim | None:
    """What the token claims; nothing of it is to be believed before `holds`."""
    said, dot, signature = token.partition(".")
    if not dot or len(token) > _LONGEST or not token.isascii():
        return None
    try:
        seconds, _, page_id = _bytes(said).decode().partition(".")
        return Claim(page_id, datetime.fromtimestamp(int(seconds), UTC), _bytes(signature))
    except (ValueError, OverflowError, OSError):
        return None


def holds(key: str, claim: Claim, page: Page) -> bool:
    """Whether we made this token for this very page."""
    made = hmac.compare_digest(claim.signature, _signature(key, page, int(claim.until.timestamp())))
    return made and claim.page_id == page.id


def _signature(key: str, page: Page, seconds: int) -> bytes:
    said = "\0".join(["ack", page.id, page.incident or "", page.person or "", str(seconds)])
    return hmac.new(key.encode(), said.encode(), hashlib.sha256).digest()


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
