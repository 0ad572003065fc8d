"""A fixed `route` label should lead to somebody, or its alerts go to the agent's owner or the fallback."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject, names, sound
from bot.complaints import did_you_mean, quote
from bot.errors import Finding
from bot.oncall.owners import BUILTIN_ROUTES

CODE = "unknown-route"


def check(subject: Subject) -> Iterator[Finding]:
    if not subject.whole:
        return
    known = {*BUILTIN_ROUTES, *names(subject.routes)}
    told = set()
    for entry, rule in sound(subject.rules):
        route = rule.labels.get("route", "")
        if route and "{{" not in route and route not in known and route not in told:
            told.add(route)  # once for all rules: it is one line of oncall/ that is missing
            text = f"there is no route {quote(route)} in the on-call files"
            hint = f"write there, for example: routes: {{{route}: team:ID}}; {did_you_mean(route, known)}"
            yield entry.finding(("labels", "route"), CODE, text, hint, severity="warning")
