"""A person's rule needs the address that it uses, and mail needs a server to hand it to."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject, sound
from bot.complaints import quote
from bot.errors import Finding, TemplateError
from bot.oncall.model import Person
from bot.paging.body import needs_of
from bot.settings import Notify

CODE = "no-address"


def check(subject: Subject) -> Iterator[Finding]:
    if subject.settings is None:
        return
    for entry, person in sound(subject.people):
        for urgency, rules in person.notification_rules.items():
            for index, rule in enumerate(rules):
                text, hint = _missing(rule.by, person, subject.notify)
                if text:
                    yield entry.finding(("notification_rules", urgency, index, "by"), CODE, text, hint)


def _missing(by: str, person: Person, notify: Notify) -> tuple[str, str]:
    if by == "email":
        if person.email is None:
            return f"{person.name} has no e-mail address", "add email to this person"
        if notify.email is None:
            return "no mail server is set", "set notify.email in agentpager.yaml"
    webhook = notify.webhooks.get(by.removeprefix("webhook:")) if by.startswith("webhook:") else None
    if webhook is None:
        return "", ""
    try:
        needs = needs_of(webhook) or frozenset()
    except TemplateError:
        return "", ""  # told at its own place
    has = {"email": person.email, "phone": person.phone} | person.contacts
    for need in sorted(needs):
        if not has.get(need):
            key = need if need in {"email", "phone"} else f"contacts.{need}"
            return f"{by} needs {quote(key)} of {person.name}", f"add {key} to this person"
    return "", ""
