"""The page behind an acknowledgement link: shows the incident and asks; only the button acts.

Open to everybody who has the link, unlike the API: the token is the permission. Mail scanners follow links, so a GET
changes nothing. No script, nothing loaded from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from starlette.responses import HTMLResponse, RedirectResponse, Response

from bot.errors import ConflictError, UsageError
from bot.incidents.model import Alert, Incident, State
from bot.oncall.model import Person
from bot.paging import acklink
from bot.paging.model import Page
from bot.paging.words import one_line, state_note
from bot.ports import Actor, Clock, Commands
from bot.web.door import Open
from bot.web.operation import Call, Operation
from bot.web.request import Nothing

_LISTED = 5
_STYLE = """
:root { color-scheme: light dark; --line: #d0d5dd; --soft: #475467; --button: #1a56db; --ink: #101828; --paper: #fff }
@media (prefers-color-scheme: dark) {
  :root { --line: #475467; --soft: #b6bdc9; --button: #2f66e0; --ink: #f2f4f7; --paper: #101828 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.5 system-ui, sans-serif }
main { max-width: 34rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .25rem 0 1rem; overflow-wrap: anywhere }
p, li { overflow-wrap: anywhere }
.id { color: var(--soft); margin: 0 }
.state { border-left: .375rem solid var(--button); padding: .5rem 0 .5rem .875rem; margin: 1.25rem 0; font-weight: 600 }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 1rem 0 }
dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
ul { padding-left: 1.25rem }
button { width: 100%; min-height: 3.5rem; border: 0; border-radius: .5rem; background: var(--button); color: #fff;
  font: inherit; font-size: 1.1875rem; font-weight: 700; cursor: pointer }
button:focus-visible { outline: .1875rem solid var(--ink); outline-offset: .1875rem }
.note { color: var(--soft); font-size: .9375rem }
code { overflow-wrap: anywhere }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the address is the permission
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


class Backend(Protocol):
    @property
    def commands(self) -> Commands: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def ack_key(self) -> str:
        """What the links are signed with; empty while there are none."""

    async def page(self, page_id: str) -> Page | None: ...


def operations(backend: Backend) -> Sequence[Operation]:
    links, path = _Links(backend), "/ack/{token}"
    return [
        Operation("GET", path, links.show, Open.LINK, raw=True),
        Operation("POST", path, links.act, Open.LINK, raw=True),
    ]


@dataclass(frozen=True)
class _Link:
    """A link that we made, and what it leads to."""

    page: Page
    incident: Incident
    person: Person
    until: datetime

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.person.timezone)


class _Links:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def show(self, call: Call[Nothing, None]) -> Response:
        link = await self._read(call.of_path("token"))
        if link is None:
            return _invalid()
        return self._answer(link, *self._state(link))

    async def act(self, call: Call[Nothing, None]) -> Response:
        """The token stands in the address, which no other site knows: nothing else proves that the click is meant."""
        link = await self._read(call.of_path("token"))
        if link is None:
            return _invalid()
        said, may_act = self._state(link)
        if not may_act:
            return self._answer(link, said, may_act=False, status=409)
        via = "email" if link.page.channel.startswith("email:") else "webhook"
        actor = Actor(f"person:{link.person.id}", link.person.name, via, link.person)
        key = f"ack-link:{link.page.id}"
        try:
            outcome = await self._backend.commands.ack(actor, link.incident.id, event_key=key)
        except (ConflictError, UsageError) as error:
            return self._answer(link, _sentence(str(error)), may_act=False, status=409)
        if not outcome.changed:
            said = "This link has been used already. It works once; a newer message has a new one."
            return self._answer(link, said, may_act=False, status=409)
        return RedirectResponse(
            call.request.url.path, 303, headers=_HEADERS
        )  # so that a reload of the page acts no more

    async def _read(self, token: str) -> _Link | None:
        claim, key = acklink.read(token), self._backend.ack_key
        if claim is None or not key or (page := await self._backend.page(claim.page_id)) is None:
            return None
        person = self._backend.commands.book.people.get(page.person or "")
        if not acklink.holds(key, claim, page) or page.incident is None or person is None:
            return None
        try:
            incident = await self._backend.commands.incident(page.incident)
        except UsageError:
            return None
        return _Link(page, incident, person, claim.until)

    def _state(self, link: _Link) -> tuple[str, bool]:
        """What there is to say, and whether the link may act."""
        incident = link.incident
        if incident.state is State.RESOLVED:
            return "It is over: this incident is resolved. There is nothing to do.", False
        if incident.state is State.ACKED:
            mine = incident.acked_by == f"person:{link.person.id}"
            if not mine:
                return f"{self._name(incident.acked_by)} has it. You need not do anything.", False
            if incident.ack_expires_at is None:
                return "You have it.", False
            until = incident.ack_expires_at.astimezone(link.zone)
            return f"You have it until {until:%H:%M}; then you are asked whether you still do.", False
        if self._backend.clock.now() > link.until:
            return (
                f"This link worked until {link.until.astimezone(link.zone):%a %H:%M}. Nobody has the incident.",
                False,
            )
        return "Nobody has it yet.", True

    def _name(self, actor: str | None) -> str:
        name = (actor or "somebody").removeprefix("person:").removeprefix("cli:").removeprefix("token:")
        person = self._backend.commands.book.people.get(name)
        return person.name if person is not None else name

    def _answer(self, link: _Link, said: str, may_act: bool, status: int = 200) -> Response:
        incident = link.incident
        return _page(incident.title, _body(link, said, may_act), status)


def _body(link: _Link, said: str, may_act: bool) -> str:
    incident = link.incident
    begun = incident.opened_at.astimezone(link.zone)
    facts = {
        "Severity": incident.severity.value,
        "Agent": incident.agent or "none",
        "Owner": incident.owner,
        "Since": f"{begun:%a %d %b, %H:%M} ({link.person.timezone})",
    }
    rows = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts.items())
    alerts = incident.going_on
    listed = "".join(f"<li>{html.escape(_line(alert))}</li>" for alert in alerts[:_LISTED])
    more = f"<li>and {len(alerts) - _LISTED} more</li>" if len(alerts) > _LISTED else ""
    form = '<form method="post"><button type="submit">I have it</button></form>' if may_act else ""
    note = f"You act as {link.person.name}. The button stops the escalation." if may_act else ""
    command = f"agentpager ack {incident.id} --as {link.person.id}"
    other = (
        "" if may_act or incident.state is not State.OPEN else f"Take it in Slack, or by: <code>{_text(command)}</code>"
    )
    return (
        f'<p class="id">{_text(incident.id)}</p><h1>{_text(incident.title)}</h1>'
        f'<p class="state" role="status">{_text(said)}</p>{form}'
        f'<p class="note">{_text(note)}{other}</p><dl>{rows}</dl>'
        f"{f'<ul>{listed}{more}</ul>' if listed else ''}"
    )


def _line(alert: Alert) -> str:
    summary = alert.annotations.get("summary", "")
    return one_line(f"{alert.name}: {summary}" if summary else alert.name) + state_note(alert)


def _invalid() -> Response:
    body = (
        '<h1>This link does not work</h1><p class="state" role="status">It is not one of ours, or belongs to a page '
        "that is no longer known.</p><p>Take the incident in Slack, or by: <code>agentpager ack ID</code></p>"
    )
    return _page("This link does not work", body, 404)


def _page(title: str, body: str, status: int) -> Response:
    text = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(title)} · agentpager</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )
    return HTMLResponse(text, status, headers=_HEADERS)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _text(value: str) -> str:
    return html.escape(one_line(value))
