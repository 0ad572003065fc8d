"""What is posted to a webhook: our own JSON, or what the configured template makes of the same values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bot.errors import TemplateError
from bot.incidents.model import Incident
from bot.oncall.model import Person
from bot.paging.model import Page
from bot.paging.words import Told, read_out
from bot.settings import Webhook
from bot.templating import AnyKey, Target, parse

_TEXT_LIMIT = 800  # of `text` in templates, which may grow threefold when it is encoded
_ADDRESSES = {"email", "phone"}
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


def content_type(webhook: Webhook) -> str:
    given = {name.lower(): value.get_secret_value() for name, value in webhook.headers.items()}
    return given.get("content-type", _JSON)


def values_land_in(webhook: Webhook) -> Target:
    """Values are escaped for what the Content-Type header says the body is."""
    kind = content_type(webhook).partition(";")[0].strip().lower()
    if kind == _FORM:
        return "form"
    return "json" if kind == _JSON or kind.endswith("+json") else "text"


def needs_of(webhook: Webhook) -> frozenset[str] | None:
    """The addresses of a person that the template reads; None for our own body, which carries all of them. Raises
    TemplateError."""
    if webhook.body is None:
        return None
    read = [path[1:] for path in parse(webhook.body, values_land_in(webhook)).paths if path[:1] == ("person",)]
    contacts = {path[1] for path in read if len(path) > 1 and path[0] == "contacts"}
    return frozenset(contacts | {path[0] for path in read if path and path[0] in _ADDRESSES})


def values(page: Page, incident: Incident | None, person: Person | None, told: Told, urgency: str) -> dict[str, Any]:
    """Everything that may be said, as plain values; what is not there is an empty text."""
    return {
        "page": {"id": page.id, "reason": page.reason, "urgency": urgency, "level": page.step + 1},
        "incident": incident_values(incident),
        "person": _person(person),
        "ack_url": told.link.url if told.link else "",
        "subject": told.subject,
        "text": told.text,
        "spoken": read_out(told),
    }


def incident_values(incident: Incident | None) -> dict[str, str]:
    if incident is None:
        return dict.fromkeys(("id", "key", "title", "state", "severity", "agent", "owner", "opened_at"), "") | {
            "id": "test",
            "key": "agentpager test",
            "title": "Test message",
            "state": "open",
            "severity": "warning",
        }
    return {
        "id": incident.id,
        "key": incident.key,
        "title": incident.title,
        "state": incident.state.value,
        "severity": incident.severity.value,
        "agent": incident.agent or "",
        "owner": incident.owner,
        "opened_at": incident.opened_at.isoformat(),
    }


def _person(person: Person | None) -> dict[str, Any]:
    if person is None:
        return {"id": "", "name": "", "email": "", "phone": "", "slack": "", "timezone": "UTC", "contacts": {}}
    return {
        "id": person.id,
        "name": person.name,
        "email": person.email or "",
        "phone": person.phone or "",
        "slack": person.slack,
        "timezone": person.timezone,
        "contacts": dict(person.contacts),
    }


def own_body(said: Mapping[str, Any], now: datetime) -> str:
    """Type, instant and data, as Standard Webhooks recommends."""
    return json.dumps({"type": "incident.page", "timestamp": now.isoformat(), "data": said}, ensure_ascii=False)


def filled(webhook: Webhook, said: Mapping[str, Any]) -> str:
    """The template with the values in it. A text that makes it too long is left out rather than cut in the middle.
    Raises TemplateError."""
    assert webhook.body is not None
    into = values_land_in(webhook)
    template = parse(webhook.body, into)
    secrets = {name: value.get_secret_value() for name, value in webhook.secrets.items()}
    for text in (str(said["text"])[:_TEXT_LIMIT], str(said["subject"])):
        body = template.render({**said, "text": text, "secrets": secrets})
        if into != "json" or is_json(body):
            return body
    raise TemplateError("the body is no JSON")


def sample() -> dict[str, Any]:
    """Values of the right shape, for checking a template before anybody is paged."""
    person = _person(None) | {"contacts": AnyKey()}
    page = {"id": "INC-1.1.page.ana", "reason": "on call", "urgency": "high", "level": 1}
    said = {"page": page, "incident": incident_values(None), "person": person}
    return said | {"ack_url": "https://pager.example.com/ack/x", "subject": "s", "text": "t", "spoken": "s"}


def problem_of(webhook: Webhook) -> str:
    """What is wrong with the template; empty when nothing is."""
    if webhook.body is None:
        return ""
    into = values_land_in(webhook)
    try:
        rendered = parse(webhook.body, into).check(sample() | {"secrets": dict.fromkeys(webhook.secrets, "x")})
    except TemplateError as error:
        return str(error)
    if into == "json" and not is_json(rendered):
        return "the body is no JSON; give headers a Content-Type if it is meant to be something else"
    return ""


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
