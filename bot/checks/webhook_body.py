"""The template of a webhook's body: it must be readable, name what there is, and make JSON where JSON is promised."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject
from bot.errors import Finding
from bot.paging import payload
from bot.paging.body import problem_of

CODE = "webhook-body"


def check(subject: Subject) -> Iterator[Finding]:
    if subject.main is None:
        return
    for name, webhook in subject.notify.webhooks.items():
        if problem := problem_of(webhook):
            hint = "docs/notifications.md lists what a body may name"
            yield subject.main.finding(("notify", "webhooks", name, "body"), CODE, problem, hint)
    for name, receiver in subject.notify.receivers.items():
        if problem := payload.problem_of(receiver):
            hint = "docs/notifications.md lists what the body of a receiver may name"
            yield subject.main.finding(("notify", "receivers", name, "body"), CODE, problem, hint)
