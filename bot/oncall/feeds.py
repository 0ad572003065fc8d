"""Calendars that stand at an address: which ones the on-call files name, what is kept of each, and since when one
cannot be read. Pure: bot/feeds.py asks for them, the store keeps them.

A calendar is called by its address as the file writes it, `${NAME}` and all, so that a secret address is nobody's name.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import urlsplit

from pydantic import ValidationError

from bot.oncall.model import Book
from bot.schema import Model

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FOLD = re.compile(r"\r?\n[ \t]")
_EVENT = re.compile(r"BEGIN:VEVENT\n.*?END:VEVENT", re.DOTALL)
_STAMPS = re.compile(r"^(DTSTAMP|CREATED|LAST-MODIFIED|X-[^:;]*)[;:][^\n]*\n?", re.MULTILINE)
_WITHOUT_COPY = timedelta(minutes=1)
_SHOWN = 24  # a longer last part of an address is likely to be its secret


class Copy(Model):
    """What is kept of one calendar. `text` is the last good copy, empty while there has been none.

    `confirmed_at` is when the address last said so, `changed_at` when the text last became another. `tag` and
    `modified` are what the server wants to hear in its next question, of the address whose digest is `seal`.
    """

    text: str = ""
    confirmed_at: datetime | None = None
    changed_at: datetime | None = None
    tried_at: datetime | None = None
    tag: str = ""
    modified: str = ""
    seal: str = ""
    error: str = ""
    failing_since: datetime | None = None


def is_feed(written: str) -> bool:
    """Whether `ical:` names an address, and not a file."""
    return "://" in written or written.startswith("${")


def variables(written: str) -> list[str]:
    return _VARIABLE.findall(written)


def address(written: str, env: Mapping[str, str]) -> str:
    """What is asked for. Raises ValueError, whose message never shows what a variable holds."""
    missing = [name for name in variables(written) if name not in env]
    if missing:
        raise ValueError(f"the variable {missing[0]} is not set")
    filled = _VARIABLE.sub(lambda found: env[found[1]].strip(), written)
    scheme, separator, rest = filled.partition("://")
    if scheme.lower() in {"webcal", "webcals"}:  # what calendars write on their buttons; it means https
        scheme = "https"
    if scheme.lower() not in {"http", "https"} or not separator or not rest or any(sign.isspace() for sign in rest):
        raise ValueError("an address of a calendar begins with https://, http:// or webcal://")
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        known = bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ValueError("the address of the calendar names no host")
    return f"{scheme.lower()}://{rest}"


def shown(written: str) -> str:
    """How a calendar is called where others read it: whoever knows some addresses whole can read the calendar."""
    if written.startswith("${"):
        return written
    try:
        parts = urlsplit(written)
        host, port = parts.hostname or "…", f":{parts.port}" if parts.port else ""
    except ValueError:
        return "…"
    *before, last = [part for part in parts.path.split("/") if part] or [""]
    way = ("/…" if before else "") + (f"/{last if len(last) <= _SHOWN else '…'}" if last else "")
    return f"{parts.scheme}://{host}{port}{way}"


def named_in(book: Book) -> dict[str, tuple[str, ...]]:
    """Every calendar at an address → the schedules and holidays that need it, in the words of a message."""
    found: dict[str, dict[str, None]] = {}
    for written, place in _named(book):
        if is_feed(written):
            found.setdefault(written, {})[place] = None
    return {written: tuple(places) for written, places in found.items()}


def _named(book: Book) -> Iterator[tuple[str, str]]:
    for schedule in book.schedules.values():
        for layer in schedule.layers:
            yield layer.ical or "", f"schedule {schedule.id}"
    for calendar in book.holidays.values():
        yield calendar.ical or "", f"holidays {calendar.id}"


def kept(documents: Mapping[str, str]) -> dict[str, Copy]:
    """What the store keeps. A document that cannot be read is as none: the address is asked again."""
    found = {}
    for written, document in documents.items():
        with suppress(ValidationError):
            found[written] = Copy.model_validate_json(document)
    return found


def seal_of(address: str) -> str:
    return sha256(address.encode()).hexdigest()


def is_due(copy: Copy, interval: timedelta, now: datetime) -> bool:
    """Asked for the first time, after the interval, or when the clock was set back. Without any copy it is tried again
    soon: nobody is on duty by it."""
    pause = interval if copy.text else min(interval, _WITHOUT_COPY)
    return copy.tried_at is None or not timedelta() <= now - copy.tried_at < pause


def received(copy: Copy, text: str, now: datetime) -> Copy:
    """A good answer that says something new."""
    return confirmed(copy, now).model_copy(update={"text": text, "changed_at": now})


def confirmed(copy: Copy, now: datetime) -> Copy:
    """A good answer that says the same: the text stays as it was, stamps and all."""
    return copy.model_copy(update={"confirmed_at": now, "tried_at": now, "error": "", "failing_since": None})


def failed(copy: Copy, error: str, now: datetime) -> Copy:
    """The last good copy stays. What the server wants to hear is forgotten: the next answer is a whole one."""
    since = copy.failing_since or now
    return copy.model_copy(update={"error": error, "failing_since": since, "tried_at": now, "tag": "", "modified": ""})


def needs_somebody(copy: Copy, grace: timedelta, now: datetime) -> bool:
    """At once while there is no copy at all, else when it has failed for the whole grace."""
    return copy.failing_since is not None and (not copy.text or now - copy.failing_since >= grace)


def problem(text: str) -> str:
    """What shows without reading the events that this is no calendar to rely on; empty when nothing does."""
    body = text.lstrip("\ufeff").strip()
    if not body:
        return "the answer is empty"
    if not body[:15].upper().startswith("BEGIN:VCALENDAR"):
        return "the answer is not a calendar: it does not begin with BEGIN:VCALENDAR"
    if not body[-13:].upper().endswith("END:VCALENDAR"):
        return "the calendar is not whole: it does not end with END:VCALENDAR"
    return "" if "\nBEGIN:VEVENT" in body.upper() else "the calendar has no events"


def meaning(text: str) -> tuple[str, ...]:
    """What a calendar says: its events in any order without their stamps, and what stands around them. Some servers
    write the time of the question into every event, and that is no news."""
    plain = _FOLD.sub("", text).replace("\r\n", "\n")
    events = sorted(_STAMPS.sub("", event) for event in _EVENT.findall(plain))
    return (*events, _STAMPS.sub("", _EVENT.sub("", plain)).strip())
