"""What an action of a runbook asks of a service must be allowed under actions.webhooks of agentpager.yaml."""

from __future__ import annotations

from collections.abc import Iterator

from bot.actions.allowed import undeclared
from bot.checks.subject import Subject, sound
from bot.errors import Finding

CODE = "undeclared-action"


def check(subject: Subject) -> Iterator[Finding]:
    if subject.settings is None:
        return
    declared = subject.settings.actions.webhooks
    for entry, runbook in sound(subject.runbooks):
        for number, step in enumerate(runbook.steps):
            if step.call is None:
                continue
            asked = {"call": step.call} | ({"undo": step.undo} if step.undo is not None else {})
            for key, request in asked.items():
                message, hint = undeclared(step.call.webhook, request.method, request.path, declared)
                if message and (key == "call" or step.call.webhook in declared):
                    part = "webhook" if step.call.webhook not in declared else "path"
                    yield entry.finding(("steps", number, key, part), CODE, message, hint)
