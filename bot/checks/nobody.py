"""A team, schedule or policy in which not one person can be found pages nobody."""

from __future__ import annotations

from collections.abc import Iterator

from bot.checks.subject import Subject, names, sound
from bot.errors import Finding

CODE = "nobody"


def check(subject: Subject) -> Iterator[Finding]:
    """Broken entries count as people: what is wrong with them is told at their own place."""
    if not subject.whole:
        return
    people = names(subject.people)
    reachable = {f"person:{name}" for name in people}
    for entry in subject.teams:
        if entry.value is None or people.intersection(entry.value.members):
            reachable.add(f"team:{entry.id}")
        else:
            yield entry.finding((), CODE, f"team {entry.id} has no member who can be reached", key=True)
    for rota in subject.schedules:
        if rota.value is None or any(layer.ical or people.intersection(layer.people) for layer in rota.value.layers):
            reachable.add(f"schedule:{rota.id}")
        else:
            yield rota.finding((), CODE, f"schedule {rota.id} never has anybody on duty", key=True)
    for ladder, policy in sound(subject.policies):
        if not any(target in reachable for step in policy.steps for target in step.notify):
            text = f"no step of escalation policy {ladder.id} reaches anybody"
            yield ladder.finding((), CODE, text, "pages would go to the fallback at once", key=True)
