"""A waiver puts off a domain of the readiness; one that names none would be taken for granted and put off nothing."""

from __future__ import annotations

from collections.abc import Iterator

from bot.agents.readiness import Domain
from bot.checks.subject import Subject, sound
from bot.complaints import did_you_mean, quote
from bot.errors import Finding

CODE = "unknown-domain"


def check(subject: Subject) -> Iterator[Finding]:
    known = [domain.value for domain in Domain]
    for entry, agent in sound(subject.agents):
        for name in agent.waivers:
            if name not in known:
                text = f"the readiness has no domain {quote(name)} to waive"
                yield entry.finding(("waivers", name), CODE, text, did_you_mean(name, known), key=True)
