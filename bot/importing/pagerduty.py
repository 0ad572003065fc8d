"""What PagerDuty's REST API, version 2, answers: users, teams, schedules with their overrides, escalation policies,
services. Each file is one answer, of a list or of one object; one file may hold several.

The API lists the layers of a schedule with the highest one first. Where an answer also has the finished schedule
(`final_schedule`), what we make of the layers is compared with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.importing.draft import Draft, Names, slug
from bot.importing.reading import Item, Source
from bot.importing.rotations import early, instant, layer, until, windows_of, zone_of
from bot.oncall.duty import at_duty
from bot.oncall.model import Schedule
from bot.schema import format_duration

_MINUTE, _DAY_MINUTES = 60, 24 * 60
_OBJECT = ("self", "html_url", "type", "summary", "privilege", "avatar_url", "description", "color", "invitation_sent")
_ROUTE = 32  # characters of a name under `routes`
_STRATEGY = "escalation_rule_assignment_strategy"
_METHOD = (
    "id", "label", "send_short_email", "send_html_email", "blacklisted", "enabled", "device_type", "sounds",
    "created_at", "text",
)  # fmt: skip
_SCHEDULE = (
    "escalation_policies", "teams", "users", "overflow", "web_cal_url", "http_cal_url", "personal_web_cal_url",
    "personal_http_cal_url", "next_oncall_for_user", "overrides_subschedule",
)  # fmt: skip
_ANSWER = ("limit", "offset", "more", "total", "query", "next_cursor", "since", "until")
HINTS = {
    "incident_urgency_rule": "urgency is the severity of the alert here; steps may have conditions, see docs/oncall.md",
    "support_hours": "a step may have a condition: when: {during: …}, see docs/oncall.md",
    "scheduled_actions": "a step may have a condition: when: {during: …}, see docs/oncall.md",
    "auto_resolve_timeout": "an incident ends with its alerts or by a person",
    "alert_grouping_parameters": "grouping in incidents/, see docs/incidents.md",
    "alert_grouping": "grouping in incidents/, see docs/incidents.md",
    "alert_grouping_timeout": "group_wait in incidents/, see docs/incidents.md",
    "auto_pause_notifications_parameters": "flapping in incidents/, see docs/incidents.md",
    "integrations": "point what sends alerts at agentpager: docs/alertmanager.md, docs/bridges.md",
    "on_call_handoff_notifications": "shifts.messages tells who is on call soon, see docs/reports.md",
    "response_play": "runbooks: docs/runbooks.md",
    "maintenance_windows": "maintenance in incidents/, see docs/incidents.md",
    "event_orchestrations": "routing in oncall/ has owners by labels",
    "rulesets": "routing in oncall/ has owners by labels",
    "business_services": "nothing of ours corresponds to it",
    "extensions": "notify.receivers in agentpager.yaml, see docs/notifications.md",
}


@dataclass
class _Book:
    """Ids there → ours, and what policies reach."""

    people: dict[str, str] = field(default_factory=dict)
    schedules: dict[str, str] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)  # schedule there → people of ours
    policies: dict[str, str] = field(default_factory=dict)
    of_team: dict[str, str] = field(default_factory=dict)  # team there → policy of ours


def read(sources: Sequence[Source], draft: Draft, now: datetime) -> None:
    book, names = _Book(), {kind: Names() for kind in ("person", "team", "schedule", "policy")}
    names["route"] = Names(_ROUTE)
    for source in sources:
        source.root.ignore(*_ANSWER)
    teams: dict[str, list[str]] = {}
    for item in _every(sources, "user"):
        _user(item, draft, book, names["person"], teams)
    schedules = list(_every(sources, "schedule"))
    overrides = _overrides(sources, [item.text("id") for item in schedules])
    for item in schedules:
        _schedule(item, draft, book, names, overrides, now)
    for item in _every(sources, "escalation_policy", "escalation_policies"):
        _policy(item, draft, book, names)
    for item in _every(sources, "team"):
        _team(item, draft, book, names["team"], teams)
    for item in _every(sources, "service"):
        _service(item, draft, book, names["route"])
    if draft.teams:
        draft.fallback = f"team:{next(iter(draft.teams))}"
    elif draft.people:
        draft.fallback = f"person:{next(iter(draft.people))}"
    else:
        draft.fallback = f"person:{draft.stand_in()}"
    draft.report.to_do.append(f"fallback is {draft.fallback}, chosen because one is needed: name whoever is asked last")


def _every(sources: Sequence[Source], one: str, several: str = "") -> Iterator[Item]:
    for source in sources:
        for key in (several or f"{one}s", one):
            if source.root.has(key):
                yield from source.root.all_of(key)


def _name(item: Item) -> str:
    return item.text("name") or item.text("summary") or item.text("id") or "unnamed"


# People


def _user(item: Item, draft: Draft, book: _Book, names: Names, teams: dict[str, list[str]]) -> None:
    item.ignore(*_OBJECT, "job_title", "role", "license", "locale")
    there, name = item.text("id"), _name(item)
    phone = ""
    for method in item.all_of("contact_methods"):
        method.ignore(*_OBJECT, *_METHOD)
        kind, address, code = method.text("type"), method.text("address"), method.text("country_code")
        if kind.startswith(("phone", "sms")) and address:
            phone = phone or f"+{code or '1'}{address}".replace(" ", "").replace("-", "")
    rules = item.all_of("notification_rules")
    if rules:
        told = f"{len(rules)} rules; who has an email or a phone can have rules of their own: docs/notifications.md"
        item.leave("notification_rules", f"notification rules of {name}", told)
    zone = zone_of(item.text("time_zone")) if item.has("time_zone") else None
    if item.has("time_zone") and zone is None:
        item.get("time_zone").tell("left", f"time_zone of {name}", "not a zone of the tz database; UTC counts")
    person = names.of(there or name, name)
    draft.person(person, name, email=item.text("email"), phone=phone, timezone=zone)
    book.people[there] = person
    for team in item.all_of("teams"):
        team.ignore(*_OBJECT)
        teams.setdefault(team.text("id"), []).append(person)
    item.tell("taken", f"user {name}", f"people.{person}")


def _person_of(reference: Item, draft: Draft, book: _Book, names: Names) -> str:
    """Somebody whom only a reference names still gets an entry: their turns must not go to another."""
    reference.ignore(*_OBJECT)
    there, name = reference.text("id"), reference.text("name") or reference.text("summary")
    if there not in book.people:
        book.people[there] = names.of(there, name or there)
        draft.person(book.people[there], name or there)
        told = f"people.{book.people[there]}: the files have no user {there}; remove them if they have left"
        reference.tell("changed", f"user {name or there}", told)
    return book.people[there]


def _team(item: Item, draft: Draft, book: _Book, names: Names, members: dict[str, list[str]]) -> None:
    item.ignore(*_OBJECT, "parent", "default_role")
    there, name = item.text("id"), _name(item)
    people = members.get(there, [])
    if not people:
        item.tell("left", f"team {name}", "no user in the files belongs to it; a team needs members")
        return
    team = names.of(f"team {there}", name)
    draft.teams[team] = {"members": people}
    if there in book.of_team:
        draft.teams[team]["escalation"] = book.of_team[there]
    item.tell("taken", f"team {name}", f"teams.{team}")


# Schedules


def _overrides(sources: Sequence[Source], schedules: Sequence[str]) -> dict[str, list[Item]]:
    """Schedule → overrides, where they stand beside the schedules. The answer itself does not say whose they are: the
    name of its file may, or there is one schedule only."""
    found: dict[str, list[Item]] = {}
    for source in sources:
        if source.root.has("overrides"):
            for one in source.root.all_of("overrides"):
                schedule = one.get("schedule")
                schedule.ignore(*_OBJECT, "name")
                there = schedule.text("id") or one.text("schedule_id") or _named(source, schedules)
                if there in schedules:
                    found.setdefault(there, []).append(one)
                else:
                    source.done.add(one.path)
                    told = "of which schedule? name its file after the id of the schedule, overrides-PIJ90N7.json"
                    one.tell("left", "override", told)
    return found


def _named(source: Source, schedules: Sequence[str]) -> str:
    if len(schedules) == 1:
        return schedules[0]
    return next((there for there in schedules if there and there in source.document.file), "")


def _schedule(
    item: Item, draft: Draft, book: _Book, names: dict[str, Names], beside: dict[str, list[Item]], now: datetime
) -> None:
    item.ignore(*_OBJECT, *_SCHEDULE)
    there, name = item.text("id"), _name(item)
    schedule = names["schedule"].of(there or name, name)
    written = item.text("time_zone") or "UTC"
    zone = zone_of(written)
    if zone is None:
        item.get("time_zone").tell(
            "changed", f"time_zone of schedule {name}", f'"{written}" is no zone of the tz database; UTC counts'
        )
        zone = "UTC"
    layers = []
    for one in reversed(item.all_of("schedule_layers")):
        if (made := _layer(one, name, zone, draft, book, names["person"], now)) is not None:
            layers.append(made)
            book.members.setdefault(there, set()).update(made["people"])
    overrides = _override_entries(
        [*item.all_of("overrides"), *beside.get(there, [])], name, draft, book, names["person"], now
    )
    if not layers:
        item.tell("left", f"schedule {name}", "it has no layer that is still going on")
        return
    book.schedules[there] = schedule
    entry: dict[str, Any] = {"timezone": zone, "layers": layers}
    if overrides:
        entry["overrides"] = overrides
    draft.schedules[schedule] = _compared(item, name, entry, book)
    item.tell("taken", f"schedule {name}", f"schedules.{schedule}")


def _layer(
    item: Item, schedule: str, zone: str, draft: Draft, book: _Book, names: Names, now: datetime
) -> dict[str, Any] | None:
    item.ignore("id", "rendered_schedule_entries", "rendered_coverage_percentage", "restriction_type", "priority")
    name = f"layer {item.text('name') or item.path[-1]} of schedule {schedule}"
    begins, first = instant(item.text("start")), instant(item.text("rotation_virtual_start"))
    end = instant(item.text("end"))
    length = timedelta(seconds=item.number("rotation_turn_length_seconds"))
    people = [
        _person_of(one.get("user") if one.has("user") else one, draft, book, names) for one in item.all_of("users")
    ]
    for one in item.all_of("users"):
        one.ignore("member_order")
    if end is not None and end <= now:
        item.source.done.add(item.path)
        item.tell("left", name, f"it ended on {end:%Y-%m-%d}")
        return None
    first = first or begins
    if first is None or begins is None or length < timedelta(minutes=1) or not people:
        item.source.done.add(item.path)
        item.tell("left", name, "it has no start, no turn or no people that can be read")
        return None
    entry = layer(people, first, length, zone, begins, now)
    differs = [told for told in (early(entry, begins, zone, now),) if told]
    if end is not None:
        entry["until"], exact = until(end, zone)
        if not exact:
            differs.append(
                f"it ends at midnight of {entry['until']}, there on {end.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
            )
    spans = [span for one in item.all_of("restrictions") for span in _restriction(one)]
    if spans and (windows := windows_of(spans)):
        entry["restrictions"] = windows
    if differs:
        item.tell("changed", name, "; ".join(differs))
    else:
        item.tell(
            "taken", name, f"turns of {format_duration(length)}" + (f", {len(spans)} restrictions" if spans else "")
        )
    return entry


def _restriction(item: Item) -> list[tuple[int, int, int]]:
    """Weekday from Monday = 0, minute of the day, minutes."""
    kind, clock = item.text("type"), item.text("start_time_of_day")
    minutes = max(round(item.number("duration_seconds") / _MINUTE), 1)
    hours, _, rest = clock.partition(":")
    start = ((int(hours) if hours.isdigit() else 0) * 60 + (int(rest[:2]) if rest[:2].isdigit() else 0)) % _DAY_MINUTES
    if kind == "weekly_restriction":
        return [((item.number("start_day_of_week", 1) - 1) % 7, start, minutes)]
    item.ignore("start_day_of_week")
    if minutes >= _DAY_MINUTES:
        return [(0, 0, 7 * _DAY_MINUTES)]
    return [(day, start, minutes) for day in range(7)]


def _override_entries(
    items: Sequence[Item], schedule: str, draft: Draft, book: _Book, names: Names, now: datetime
) -> list[dict[str, Any]]:
    found, past = [], 0
    for item in items:
        item.ignore("id", "schedule", "schedule_id")
        start, end = instant(item.text("start")), instant(item.text("end"))
        user = item.get("user")
        if start is None or end is None or not user:
            item.tell("left", f"override of schedule {schedule}", "it has no time or no user that can be read")
            continue
        if end <= now:
            item.source.done.add(item.path)
            past += 1
            continue
        person = _person_of(user, draft, book, names)
        found.append({"person": person, "from": start.isoformat(), "until": end.isoformat()})
        item.tell("taken", f"override of schedule {schedule}", f"{person}, {start.isoformat()} to {end.isoformat()}")
    if past:
        draft.report.to_do.append(f"schedule {schedule}: {past} overrides are over and were left out")
    return found


def _compared(item: Item, name: str, entry: dict[str, Any], book: _Book) -> dict[str, Any]:
    """Who would be on call by our layers in the middle of each span that PagerDuty has worked out. Should the layers
    stand in the other order in the file, they are turned."""
    final = item.get("final_schedule")
    item.source.done.add(final.path)
    spans = []
    for one in final.all_of("rendered_schedule_entries"):
        start, end, user = instant(one.text("start")), instant(one.text("end")), one.get("user").text("id")
        if start is not None and end is not None and user in book.people:
            spans.append((start + (end - start) / 2, book.people[user]))
    if not spans:
        return entry
    turned = entry | {"layers": entry["layers"][::-1]}
    wrong, other = _differences(entry, spans), _differences(turned, spans)
    what = f"schedule {name}"
    if len(other) < len(wrong):
        entry, wrong = turned, other
        final.tell("changed", what, "the first layer of the file is the lowest: so final_schedule says", key=True)
    if wrong:
        told = f"{len(wrong)} of {len(spans)} spans of final_schedule differ, first {wrong[0]}"
        final.tell("changed", what, told, key=True)
    else:
        told = f"all {len(spans)} spans of final_schedule have the same person on call here"
        final.tell("taken", what, told, key=True)
    return entry


def _differences(entry: dict[str, Any], spans: Sequence[tuple[datetime, str]]) -> list[str]:
    ours = Schedule.model_validate(entry)
    found = []
    for at, person in spans:
        people, _ = at_duty(ours, at)
        if person not in people:
            found.append(f"{at:%Y-%m-%d %H:%M} UTC: {', '.join(people) or 'nobody'}, there {person}")
    return found


# Policies and services


def _policy(item: Item, draft: Draft, book: _Book, names: dict[str, Names]) -> None:
    item.ignore(*_OBJECT, "services", "repeat_enabled")
    there, name = item.text("id"), _name(item)
    policy = names["team"].of(f"policy {there or name}", name)  # a team of the same name follows it
    steps, members = [], []
    for number, rule in enumerate(item.all_of("escalation_rules")):
        rule.ignore("id")
        minutes = rule.number("escalation_delay_in_minutes", 30)
        if rule.get(_STRATEGY).text("type") == "round_robin":
            told = "everybody of a step is paged, nobody in turns"
            rule.get(_STRATEGY).tell("changed", f"step {number + 1} of {name}", told)
        notify = []
        for target in rule.all_of("targets"):
            kind, reference = target.text("type"), target.text("id")
            if kind.startswith("schedule"):
                target.ignore(*_OBJECT, "name")
                if reference in book.schedules:
                    notify.append(f"schedule:{book.schedules[reference]}")
                    members += sorted(book.members.get(reference, ()))
                else:
                    told = "that schedule is not in the files, or has no layers; write it by hand, or import it too"
                    target.tell(
                        "left", f"step {number + 1} of {name}: schedule {target.text('summary') or reference}", told
                    )
            else:
                person = _person_of(target, draft, book, names["person"])
                notify.append(f"person:{person}")
                members.append(person)
        if notify:
            steps.append({"notify": list(dict.fromkeys(notify)), "wait": f"{max(minutes, 1)}m"})
            rule.tell(
                "taken",
                f"step {number + 1} of {name}",
                f"escalation_policies.{policy}: {', '.join(notify)}, {minutes} min",
            )
        else:
            rule.tell("left", f"step {number + 1} of {name}", "nobody of it is in the files")
    loops = item.number("num_loops")
    if not steps or not members:
        item.tell("left", f"escalation policy {name}", "none of its steps reaches anybody in the files")
        return
    draft.policies[policy] = {"steps": steps, "repeat": min(loops, 20)}
    draft.teams[policy] = {"members": list(dict.fromkeys(members))}
    book.policies[there] = policy
    for team in item.all_of("teams"):
        team.ignore(*_OBJECT, "name")
        book.of_team.setdefault(team.text("id"), policy)
    told = f"escalation_policies.{policy}, repeated {loops} times, then the fallback; teams.{policy} is everybody in it"
    item.tell("taken", f"escalation policy {name}", told)


def _service(item: Item, draft: Draft, book: _Book, names: Names) -> None:
    item.ignore(
        *_OBJECT,
        "id",
        "status",
        "created_at",
        "last_incident_timestamp",
        "teams",
        "addons",
        "alert_creation",
        "updated_at",
    )
    name = _name(item)
    policy = book.policies.get(item.get("escalation_policy").text("id"))
    item.source.done.add((*item.path, "escalation_policy"))
    if policy is None:
        item.tell("left", f"service {name}", "its escalation policy is not in the files")
        return
    route = names.of(item.text("id") or name, name if slug(name)[:1].isalpha() else f"s-{name}")
    draft.routes[route] = f"team:{policy}"
    _ack_timeout(item, name, policy, draft)
    item.tell("taken", f"service {name}", f'routes.{route}: alerts with the label route: "{route}" go to team:{policy}')


def _ack_timeout(item: Item, name: str, policy: str, draft: Draft) -> None:
    seconds = item.number("acknowledgement_timeout")
    if not seconds:
        if item.has("acknowledgement_timeout"):
            item.get("acknowledgement_timeout").tell(
                "changed",
                f"acknowledgement_timeout of {name}",
                "an ack always runs out here: ack_timeout of the policy, 1 h and 4 h",
            )
        return
    text = format_duration(timedelta(seconds=seconds))
    before = draft.policies[policy].get("ack_timeout")
    if before is not None and before["critical"] != text:
        item.get("acknowledgement_timeout").tell(
            "changed",
            f"acknowledgement_timeout of {name}",
            f"it belongs to the policy here, which another service has set to {before['critical']}",
        )
        return
    draft.policies[policy]["ack_timeout"] = {"critical": text, "warning": text}
