"""The pieces of configuration that the pages of docs/ show pass the real check as they stand."""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns
import textwrap
from pathlib import Path

import pytest
from config_files import example, sources_of

from bot import config
from bot.incidents.policy import IncidentRules
from bot.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("configuration", "incidents", "notifications", "oncall", "operations", "reports", "slack")
PEOPLE = {
    "people": """\
people:
  ana: {name: Ana Ruiz, slack: U02ABCDEF, timezone: Europe/Madrid}
  ben: {name: Ben Cole, slack: U03BACKUP, timezone: America/New_York}
  cat: {name: Cat Lee, slack: U04CATLEE}
  dan: {name: Dan Dee, slack: U04DANDEE}
""",
    "teams": "teams:\n  payments: {members: [ana]}\n",
    "schedules": "schedules:\n  payments-primary: {layers: [{people: [ana], start: 2026-11-02}]}\n",
    "escalation_policies": 'escalation_policies:\n  payments: {steps: [{notify: ["person:ana"]}]}\n',
    "fallback": 'fallback: "person:ana"\n',
}
PROVIDER_DOWN = (
    "groups: [{name: providers, rules: [{alert: ProviderDown, expr: provider_up == 0, labels: {team: data}}]}]"
)
SETTINGS = {
    "slack": 'slack: {bot_token: xoxb-1, app_token: xapp-1, channel: "#agent-pages"}\n',
    "http": 'http: {external_url: "https://pager.example.com"}\n',
    "notify": 'notify: {email: {host: mail.example.com, from: a@example.com}, webhooks: {sms: {url: "https://x.example.com"}}}\n',
}


def snippets() -> list[tuple[str, str]]:
    """Page and text, but the recipes of docs/notifications.md, which have a test of their own, and files of GitHub."""
    pages = {name: (DOCS / f"{name}.md").read_text().partition("\n## Recipes\n")[0] for name in PAGES}
    block = re.compile(r"^ *```yaml\n(.*?)^ *```", flags=re.MULTILINE | re.DOTALL)
    found = [(name, textwrap.dedent(text)) for name, page in pages.items() for text in block.findall(page)]
    return [(name, text) for name, text in found if not text.startswith("# .github/")]


def keys_of(text: str) -> list[str]:
    return re.findall(r"^([a-z_]+):", text, flags=re.MULTILINE)


def with_the_rest(text: str, rest: dict[str, str]) -> str:
    """Beside what the snippet says, what it needs."""
    return text + "".join(part for key, part in rest.items() if key not in keys_of(text))


def configuration(text: str) -> dict[str, str]:
    """A whole one around the snippet, which goes where its keys belong."""
    files = example() | {"alerts/providers.yaml": PROVIDER_DOWN}
    settings, oncall = "", ""
    if keys_of(text) == ["agents"] and "files:" not in text:
        files["agents/refund-agent.yaml"] = text
    elif keys_of(text)[0] in IncidentRules.model_fields:
        files["incidents/payments.yaml"] = text
    elif keys_of(text)[0] in Settings.model_fields:
        settings = text
    else:
        oncall = text
    files["agentpager.yaml"] = with_the_rest(settings, SETTINGS)
    files["oncall/payments.yaml"] = with_the_rest(oncall, PEOPLE)
    return files


def test_no_page_has_lost_its_examples():
    assert {page for page, _ in snippets()} == set(PAGES)
    assert len(snippets()) >= 18


@pytest.mark.parametrize(("page", "text"), snippets(), ids=lambda value: re.sub(r"\W+", "-", value[:20]))
def test_an_example_has_no_mistake(page, text):
    if text.startswith("steps:"):
        text = "escalation_policies:\n  payments:\n" + textwrap.indent(text, "    ")
    env = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
    assert config.check(sources_of(configuration(text), env)) == []
