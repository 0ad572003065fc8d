"""The annotation `covers` says what an alert would notice; a word that is none of the four would count for nothing."""

from __future__ import annotations

from collections.abc import Iterator

from bot.agents.readiness import COVERS, Signal
from bot.checks.applying import alerts
from bot.checks.subject import Subject
from bot.complaints import did_you_mean, quote
from bot.errors import Finding

CODE = "unknown-signal"


def check(subject: Subject) -> Iterator[Finding]:
    known = [signal.value for signal in Signal]
    for entry, rule in alerts(subject):
        for word in rule.annotations.get(COVERS, "").replace(",", " ").split():
            if word not in known:
                text, hint = f"an alert cannot cover {quote(word)}", did_you_mean(word, known)
                yield entry.finding(("annotations", COVERS), CODE, text, hint, severity="warning")
