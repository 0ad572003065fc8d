"""Mails and webhooks carry a link that acknowledges, if people can reach us at all: that is what external_url says."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject
from bot.errors import Finding

CODE = "no-ack-link"


def check(subject: Subject) -> Iterator[Finding]:
    if subject.main is None or subject.settings is None or subject.settings.http.external_url:
        return
    if subject.notify.email is not None or subject.notify.webhooks:
        text = "messages outside Slack will carry no link to acknowledge by: http.external_url is not set"
        hint = "set it to the address at which phones reach this server"
        yield subject.main.finding(("notify",), CODE, text, hint, severity="warning", key=True)
