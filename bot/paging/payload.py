"""What a receiver is posted: the JSON of Alertmanager's webhook, version 4, or what its template makes of the same
values.

Source of the shape: Alertmanager's documentation, `webhook_config`, and what Debian's Alertmanager sends.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bot.errors import TemplateError
from bot.incidents.model import Incident
from bot.paging.body import incident_values, is_json, values_land_in
from bot.paging.model import RECEIVER, Page
from bot.paging.statuses import content_of
from bot.settings import Receiver
from bot.templating import AnyKey, parse

_VERSION = "4"


def payload(page: Page, incident: Incident | None, external_url: str) -> dict[str, Any]:
    content = content_of(page)
    alerts = list(content.alerts)
    grouped, owner = _group(incident)
    return {
        "receiver": page.channel.removeprefix(RECEIVER),
        "status": "firing" if content.firing else "resolved",
        "alerts": alerts,
        "groupLabels": grouped,
        "commonLabels": _common([alert["labels"] for alert in alerts]),
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": external_url,
        "version": _VERSION,
        "groupKey": f"{{}}/{_braced(owner)}:{_braced(grouped)}",
        "truncatedAlerts": content.truncated,
    }


def body_of(receiver: Receiver, said: dict[str, Any], incident: Incident | None) -> str:
    """Of more alerts than a template may say it names the first ones. Raises TemplateError."""
    if receiver.body is None:
        return json.dumps(said, ensure_ascii=False)
    secrets = {name: value.get_secret_value() for name, value in receiver.secrets.items()}
    into = values_land_in(receiver)
    template = parse(receiver.body, into)
    values = {**said, "incident": incident_values(incident), "secrets": secrets}
    alerts, truncated = said["alerts"], said["truncatedAlerts"]
    named = len(alerts)
    while True:
        left_out = len(alerts) - named
        text = template.render({**values, "alerts": alerts[:named], "truncatedAlerts": truncated + left_out})
        if into != "json" or is_json(text):
            return text
        if not named:
            raise TemplateError("the body is no JSON")
        named //= 2


def problem_of(receiver: Receiver) -> str:
    """What is wrong with its template; empty when nothing is."""
    if receiver.body is None:
        return ""
    into = values_land_in(receiver)
    try:
        template = parse(receiver.body, into)
        rendered = template.check(_sample() | {"secrets": dict.fromkeys(receiver.secrets, "x")})
    except TemplateError as error:
        return str(error)
    if into == "json" and not is_json(rendered):
        return "the body is no JSON; give headers a Content-Type if it is meant to be something else"
    return ""


def _sample() -> dict[str, Any]:
    alert = {"status": "firing", "startsAt": "", "endsAt": "", "generatorURL": "", "fingerprint": ""}
    anything = {"labels": AnyKey(), "annotations": AnyKey()}
    return {
        "receiver": "r",
        "status": "firing",
        "alerts": [alert | anything],
        "groupLabels": AnyKey(),
        "commonLabels": AnyKey(),
        "commonAnnotations": AnyKey(),
        "externalURL": "https://pager.example.com",
        "version": _VERSION,
        "groupKey": "k",
        "truncatedAlerts": 0,
        "incident": incident_values(None),
    }


def _group(incident: Incident | None) -> tuple[dict[str, str], dict[str, str]]:
    """The labels by which the incident's alerts belong together, and its owner."""
    if incident is None:
        return {}, {}
    parts = _parts(incident.key)
    owner = parts.pop("owner", incident.owner)
    if "alert" in parts and "alertname" not in parts:
        parts["alertname"] = parts.pop("alert")
    return parts, {"owner": owner}


def _parts(key: str) -> dict[str, str]:
    """`agent=refund-agent cause="a b" owner=team:payments` taken apart; grouping.incident_key puts it together."""
    found: dict[str, str] = {}
    rest = key
    while rest:
        name, _, rest = rest.partition("=")
        if rest.startswith('"'):
            value, end = json.JSONDecoder().raw_decode(rest)
            rest = rest[end:].removeprefix(" ")
        else:
            value, _, rest = rest.partition(" ")
        found[name] = value
    return found


def _common(mappings: Sequence[dict[str, str]]) -> dict[str, str]:
    if not mappings:
        return {}
    first, *others = mappings
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _braced(labels: dict[str, str]) -> str:
    inside = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in sorted(labels.items()))
    return f"{{{inside}}}"
