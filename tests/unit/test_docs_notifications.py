"""The recipes of docs/notifications.md are good configuration and make what each service asks for; the snippet that
verifies a signature verifies ours."""

from __future__ import annotations

import json
import re  # noqa: TID251 - fixed patterns
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from config_files import sources_of
from core_world import NOW, PEOPLE, alert, opened

from bot import config
from bot.channels.webhook import signature
from bot.incidents.model import Incident
from bot.paging import body, words
from bot.paging.model import Page, PageKind
from bot.settings import Settings, Webhook

PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
RECIPES = dict(re.findall(r"```yaml\n(\w+):\n(.*?)```", PAGE.partition("## Recipes")[2], flags=re.DOTALL))
ENV = dict.fromkeys(("TWILIO_SID", "TWILIO_LOGIN", "PAGERDUTY_ROUTING_KEY", "NTFY_TOKEN", "TELEGRAM_TOKEN"), "canary")
ANA = PEOPLE["ana"].model_copy(
    update={"phone": "+34600000000", "contacts": {"ntfy": "ana-pages", "telegram": "123456789"}}
)
TITLE = 'tool "crm" & <refunds>\nfail: 100% + 1'
LINK = words.AckLink("https://pager.example.com/ack/abc.def", NOW)


def settings() -> Settings:
    lines = ["slack: {bot_token: xoxb-1, app_token: xapp-1}", "http: {external_url: https://pager.example.com}"]
    lines += ["notify:", "  webhooks:"]
    for name, text in RECIPES.items():
        lines += [f"    {name}:", *(f"    {line}" for line in text.rstrip().split("\n"))]
    oncall = "people:\n  ana: {name: Ana, slack: U02ABCDEF}\nfallback: 'person:ana'\n"
    sources = sources_of({"agentpager.yaml": "\n".join(lines), "oncall/all.yaml": oncall}, ENV)
    assert config.check(sources) == []
    return config.load(sources).settings


def rendered(name: str, link: words.AckLink | None = LINK, incident: Incident | None = None) -> tuple[Webhook, str]:
    webhook = settings().notify.webhooks[name]
    incident = incident or opened(alert(annotations={"summary": TITLE}))
    page = Page(
        id="INC-1.1.page.ana", incident="INC-1", kind=PageKind.PAGE, person="ana", channel="", due_at=NOW, reason="duty"
    )
    told = words.tell(page, incident, None, ANA, link)
    return webhook, body.filled(webhook, body.values(page, incident, ANA, told, "high"))


def form(name: str) -> dict[str, list[str]]:
    webhook, text = rendered(name)
    assert body.content_type(webhook) == "application/x-www-form-urlencoded"
    assert webhook.headers["Authorization"].get_secret_value() == "Basic canary"
    return parse_qs(text, strict_parsing=True)


SUBJECT = '🔴 CRITICAL refund-agent: tool "crm" & <refunds> fail: 100% + 1 · INC-1'


def test_all_recipes_are_here():
    assert sorted(RECIPES) == ["call", "ntfy", "pagerduty", "sms", "telegram"]


def test_twilio_sms():
    assert form("sms") == {
        "To": ["+34600000000"],
        "From": ["+15550001111"],
        "Body": [f"{SUBJECT} https://pager.example.com/ack/abc.def"],
    }


def test_twilio_call():
    said = "CRITICAL refund-agent: tool crm refunds fail: 100% + 1 INC-1"
    assert form("call") == {
        "To": ["+34600000000"],
        "From": ["+15550001111"],
        "Twiml": [f'<Response><Say loop="2">{said}</Say></Response>'],
    }


@pytest.mark.parametrize("link", [LINK, None])
def test_pagerduty(link):
    _, text = rendered("pagerduty", link)
    event = json.loads(text)
    assert event.pop("links", None) == ([{"href": LINK.url, "text": "Take it"}] if link else None)
    details = event["payload"].pop("custom_details")
    assert event == {
        "routing_key": "canary",
        "event_action": "trigger",
        "dedup_key": "INC-1",
        "client": "agentpager",
        "payload": {"summary": SUBJECT, "source": "refund-agent", "severity": "critical"},
    }
    assert details["owner"] == "team:payments"


@pytest.mark.parametrize("link", [LINK, None])
def test_ntfy(link):
    _, text = rendered("ntfy", link)
    message = json.loads(text)
    assert message.pop("click", None) == (LINK.url if link else None)
    assert "you are paged" in message.pop("message")
    assert message == {"topic": "ana-pages", "title": SUBJECT, "priority": 5, "tags": ["rotating_light"]}


def test_telegram():
    webhook, text = rendered("telegram")
    assert webhook.url.get_secret_value() == "https://api.telegram.org/botcanary/sendMessage"
    message = json.loads(text)
    assert message["chat_id"] == "123456789"
    assert message["text"].startswith(f"{SUBJECT}\n\nAna, you are paged")
    assert message["link_preview_options"] == {"is_disabled": True}


def test_the_documented_body_has_the_keys_of_ours():
    documented = json.loads(re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)[0])
    page = Page(id="p", incident="INC-1", kind=PageKind.PAGE, person="ana", channel="", due_at=NOW, reason="duty")
    told = words.tell(page, opened(), None, ANA, LINK)
    ours = json.loads(body.own_body(body.values(page, opened(), ANA, told, "high"), NOW))
    assert set(documented) == set(ours)
    assert set(documented["data"]) == set(ours["data"])
    for part in ("page", "incident", "person"):
        assert set(documented["data"][part]) == set(ours["data"][part])


def test_the_snippet_verifies_our_signature():
    names: dict[str, object] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[0], names)
    is_genuine = names["is_genuine"]
    assert callable(is_genuine)
    secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    webhook = Webhook.model_validate({"url": "https://hooks.example.com", "secret": secret})
    headers = signature(webhook, "INC-1.1.page.ana", b'{"a": 1}', datetime.now(UTC))  # noqa: TID251
    assert is_genuine(headers, b'{"a": 1}', secret)
    assert not is_genuine(headers, b'{"a": 2}', secret)
    old = signature(webhook, "INC-1.1.page.ana", b'{"a": 1}', NOW.replace(year=2020))
    assert not is_genuine(old, b'{"a": 1}', secret)
