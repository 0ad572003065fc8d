"""What Grafana OnCall's HTTP API answers: users, teams, schedules, shifts, swaps, escalation chains and policies,
integrations and routes, webhooks. Each file is one answer, or several by the name of their path in one object.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.importing.draft import Draft, Names, channel_of, label_name, slug
from bot.importing.grafana_shifts import Shift, schedules, shift_of
from bot.importing.reading import Item, Source
from bot.importing.rotations import instant, zone_of
from bot.schema import format_duration, parse_duration

_REPEATS = 5  # as often as Grafana OnCall repeats a chain
_ANSWER = ("count", "next", "previous", "current_page_number", "page_size", "total_pages")
_LISTS = (
    "users", "teams", "user_groups", "slack_channels", "schedules", "on_call_shifts", "shift_swaps",
    "escalation_chains", "escalation_policies", "integrations", "routes", "personal_notification_rules", "webhooks",
    "custom_actions", "outgoing_webhooks",
)  # fmt: skip
# What tells the entries of an answer that does not name its kind.
_MARKS = (
    ("on_call_shifts", {"type", "start", "duration"}), ("routes", {"integration_id", "escalation_chain_id"}),
    ("escalation_policies", {"escalation_chain_id", "type"}), ("integrations", {"default_route"}),
    ("schedules", {"on_call_now"}), ("users", {"username"}), ("shift_swaps", {"swap_start"}),
    ("personal_notification_rules", {"user_id", "important"}), ("escalation_chains", {"name", "team_id"}),
)  # fmt: skip
HINTS = {
    "templates": "messages are written by agentpager; grouping stands in incidents/",
    "heartbeat": "a dead man's switch for a sender: an alert with absent() in its rules",
    "link": "the address of the integration: point what sends alerts at agentpager instead",
    "maintenance_mode": "maintenance in incidents/, see docs/incidents.md",
    "telegram": "contacts: {telegram: …} of the person, and the recipe in docs/notifications.md",
    "msteams": "a webhook with a body, see docs/notifications.md",
}
_CONDITION = re.compile(
    r"payload(?:\.|\[\"|\[')(?:labels|commonLabels|groupLabels)(?:\"\]|'\])?"
    r"(?:\.(\w+)|\[\"([^\"]+)\"\]|\['([^']+)'\])\s*(==|!=)\s*(?:\"([^\"]*)\"|'([^']*)')"
)
_PAIR = re.compile(r'\.?\*?"?(\w+)"?\s*:\s*"([\w.-]+)"\.?\*?')


@dataclass
class _Book:
    people: dict[str, str] = field(default_factory=dict)
    teams: dict[str, str] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    schedules: dict[str, list[str]] = field(default_factory=dict)
    on_rota: dict[str, set[str]] = field(default_factory=dict)
    webhooks: dict[str, str] = field(default_factory=dict)
    chains: dict[str, str] = field(default_factory=dict)


def read(sources: Sequence[Source], draft: Draft, now: datetime) -> None:
    book = _Book()
    names = {kind: Names() for kind in ("person", "team", "schedule")} | {"webhook": Names(32)}
    lists = _lists(sources)
    for item in lists["users"]:
        _user(item, draft, book, names["person"])
    for item in lists["teams"]:
        _team(item, draft, book, names["team"])
    for kind in ("webhooks", "custom_actions", "outgoing_webhooks"):
        for item in lists[kind]:
            _webhook(item, draft, book, names["webhook"])
    shifts = {item.text("id"): item for item in lists["on_call_shifts"]}
    swaps = lists["shift_swaps"]
    for item in lists["schedules"]:
        _schedule(item, shifts, swaps, draft, book, names["schedule"], now)
    for kind in ("user_groups", "slack_channels"):
        for item in lists[kind]:
            item.source.done.add(item.path)
    _chains(lists, draft, book, names["team"])
    _routes(lists, draft, book)
    rules = lists["personal_notification_rules"]
    for item in rules:
        item.source.done.add(item.path)
    if rules:
        told = f"{len(rules)} rules; notification_rules of each person say it here: docs/notifications.md"
        rules[0].tell("left", "personal_notification_rules", told)
    for item in shifts.values():
        if item.path not in item.source.done and not item.source.seen & {(*item.path, "duration")}:
            item.source.done.add(item.path)
            item.tell("left", f"shift {item.text('name')}", "no schedule in the files names it")
    fallback = next((f"team:{team}" for team in draft.teams), None)
    draft.fallback = fallback or f"person:{next(iter(draft.people), None) or draft.stand_in()}"
    draft.report.to_do.append(f"fallback is {draft.fallback}, chosen because one is needed: name whoever is asked last")


def _lists(sources: Sequence[Source]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {name: [] for name in _LISTS}
    for source in sources:
        source.root.ignore(*_ANSWER)
        named = [name for name in _LISTS if source.root.has(name)]
        for name in named:
            part = source.root.get(name)
            part.ignore(*_ANSWER)
            found[name] += part.all_of("results") if part.has("results") else part.each()
        if not named:
            entries = source.root.all_of("results") if source.root.has("results") else source.root.each()
            if kind := _kind(entries):
                found[kind] += entries
    return found


def _kind(entries: Sequence[Item]) -> str:
    keys = set(entries[0].names()) if entries else set()
    return next((name for name, marks in _MARKS if marks <= keys), "")


# People


def _user(item: Item, draft: Draft, book: _Book, names: Names) -> None:
    item.ignore(
        "role", "is_phone_number_verified", "verified_phone_number", "grafana_id", "avatar_url", "hide_phone_number"
    )
    there, login = item.text("id"), item.text("username")
    name = item.text("name") or login or item.text("email") or there
    slack = next((one.text("user_id") for one in item.all_of("slack")), "")
    for one in item.all_of("slack"):
        one.ignore("team_id", "login")
    zone = zone_of(item.text("timezone")) if item.has("timezone") else None
    person = names.of(there, name)
    draft.person(person, name, slack=slack, email=item.text("email"), timezone=zone)
    book.people[there] = person
    for team in item.texts("teams"):
        book.members.setdefault(team, []).append(person)
    item.tell("taken", f"user {name}", f"people.{person}")


def _team(item: Item, draft: Draft, book: _Book, names: Names) -> None:
    item.ignore("avatar_url", "email")
    there, name = item.text("id"), item.text("name") or "unnamed"
    members = book.members.get(there, [])
    if not members:
        item.tell("left", f"team {name}", "no user in the files belongs to it; a team needs members")
        return
    book.teams[there] = names.of(f"team {there}", name)
    draft.teams[book.teams[there]] = {"members": members}
    item.tell("taken", f"team {name}", f"teams.{book.teams[there]}")


def _people(items: Sequence[str], item: Item, what: str, draft: Draft, book: _Book) -> list[str]:
    found = []
    for there in items:
        if there not in book.people:
            person, number = slug(there), 1
            while person in draft.people:
                number += 1
                person = f"{slug(there, 44)}-{number}"
            book.people[there] = person
            draft.person(book.people[there], there)
            told = f"people.{book.people[there]}: the files have no user {there}; remove them if they have left"
            item.tell("changed", f"{what}: user {there}", told)
        found.append(book.people[there])
    return found


def _webhook(item: Item, draft: Draft, book: _Book, names: Names) -> None:
    there, name = item.text("id"), item.text("name") or "webhook"
    webhook = names.of(there, name)
    variable = item.secret("url", f"{webhook}_WEBHOOK_URL")
    if not variable:
        item.source.done.add(item.path)
        return
    draft.webhook(webhook, url=variable)
    book.webhooks[there] = webhook
    item.source.done.add(item.path)
    told = f"notify.webhooks.{webhook}, with our own body; method, headers, password and data are not taken over"
    item.tell("changed", f"webhook {name}", told)


# Schedules


def _schedule(
    item: Item, shifts: dict[str, Item], swaps: Sequence[Item], draft: Draft, book: _Book, names: Names, now: datetime
) -> None:
    item.ignore("type", "on_call_now", "enable_web_overrides", "ical_url_final", "ical_url_export", "team_id")
    there, name = item.text("id"), item.text("name") or "unnamed"
    schedule = names.of(there or name, name)
    written = item.text("time_zone") or "UTC"
    zone = zone_of(written) or "UTC"
    mine = [shifts[one] for one in item.texts("shifts") if one in shifts]
    zones = {one.text("time_zone") for one in mine} - {""}
    if len(zones) == 1 and zone_of(next(iter(zones))):
        zone = next(iter(zones))
    elif zones - {zone}:
        item.tell(
            "changed",
            f"schedule {name}",
            f"its shifts are in several zones; hand-offs keep to the wall clock of {zone} here",
        )
    made: list[Shift] = []
    overrides: list[dict[str, Any]] = []
    for one in mine:
        _shift(one, name, zone, made, overrides, draft, book, now)
    entries, many = schedules(made, zone, overrides, now) if made else ([], False)
    if many:
        item.tell(
            "changed",
            f"schedule {name}",
            "more shifts at a time than can be told apart; look at who is on call together",
        )
    entries = _calendars(item, name, schedule, zone, entries)
    if not entries:
        item.tell("left", f"schedule {name}", "none of its shifts can be said here")
        return
    group = item.get("slack").text("user_group_id")
    item.get("slack").ignore("channel_id")
    if re.fullmatch(r"S[A-Z0-9]{2,}", group):
        entries[0]["usergroup"] = group
    _swaps(item, there, name, swaps, entries, draft, book, now)
    for number, entry in enumerate(entries):
        one_id = schedule if number == 0 else names.of(f"{there} {number}", f"{schedule}-together-{number + 1}")
        draft.schedules[one_id] = entry
        book.schedules.setdefault(there, []).append(one_id)
    book.on_rota[there] = {person for shift in made for one in shift.variants for person in one["people"]} - {"none"}
    where = ", ".join(f"schedules.{one}" for one in book.schedules[there])
    if len(entries) > 1:
        item.tell(
            "changed",
            f"schedule {name}",
            f"{where}: several are on call together, so policies ask these schedules together",
        )
    else:
        item.tell("taken", f"schedule {name}", where)


def _shift(
    item: Item, schedule: str, zone: str, made: list[Shift], overrides: list[dict[str, Any]], draft: Draft, book: _Book,
    now: datetime,
) -> None:  # fmt: skip
    item.ignore("team_id", "schedule", "source", "updated_shift")
    what = f"shift {item.text('name') or item.text('id')} of schedule {schedule}"
    kind = item.text("type")
    start = instant(item.text("start"))
    own = item.text("time_zone")
    users = item.texts("users")
    groups = [[one.own_text() for one in group.each()] for group in item.all_of("rolling_users")]
    item.source.done.add((*item.path, "rolling_users"))
    people = [
        _people(group, item, what, draft, book) for group in (groups if kind == "rolling_users" else [users]) if group
    ]
    if start is None or not people:
        item.source.done.add(item.path)
        item.tell("left", what, "it has no start or no users that can be read")
        return
    wall = start.replace(tzinfo=None)
    if (there := zone_of(own) if own else None) and there != zone:
        wall = wall.replace(tzinfo=ZoneInfo(there)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        item.tell("changed", what, f"it is in {there} there; here it keeps to the wall clock of {zone}")
    if kind in {"single_event", "override"}:
        _override(item, what, people[0], wall, zone, overrides, now)
        return
    until = instant(item.text("until")) if item.has("until") else None
    if until is not None and until <= now:
        item.source.done.add(item.path)
        item.tell("left", what, f"it ended on {until:%Y-%m-%d}")
        return
    shift, why = shift_of(item, people, wall)
    if shift is None:
        item.source.done.add(item.path)
        item.tell("left", what, why)
        return
    made.append(shift)
    item.tell("taken", what, f"a layer of level {shift.level}, turns of {shift.variants[0]['every']}")


def _override(
    item: Item,
    what: str,
    people: Sequence[str],
    wall: datetime,
    zone: str,
    overrides: list[dict[str, Any]],
    now: datetime,
) -> None:
    item.ignore("level", "frequency", "interval", "until", "week_start", "by_day", "rotation_start", "rolling_users")
    end = wall + timedelta(seconds=item.number("duration"))
    if end.replace(tzinfo=ZoneInfo(zone)) <= now:
        item.tell("left", what, "it is over")
        return
    overrides.append({"person": people[0], "from": wall.isoformat(), "until": end.isoformat()})
    if len(people) > 1:
        item.tell(
            "changed", what, f"an override of {people[0]} alone: {', '.join(people[1:])} cannot be on call beside them"
        )
    else:
        item.tell("taken", what, f"an override: {people[0]}, {wall.isoformat()} to {end.isoformat()}")


def _calendars(item: Item, name: str, schedule: str, zone: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Calendars at an address: they are secrets, and the one for overrides lies on top."""
    for key, what in (("ical_url_primary", "CALENDAR"), ("ical_url_overrides", "OVERRIDES")):
        if reference := item.secret(key, f"{schedule}_{what}"):
            entries = entries or [{"timezone": zone, "layers": []}]
            for entry in entries:
                entry["layers"].append({"ical": reference})
            told = "a layer with the calendar at its address; events name people by id, name or e-mail address"
            item.get(key).tell("taken", f"{key} of schedule {name}", told)
    return entries


def _swaps(
    item: Item, there: str, name: str, swaps: Sequence[Item], entries: list[dict[str, Any]], draft: Draft, book: _Book,
    now: datetime,
) -> None:  # fmt: skip
    for swap in swaps:
        if swap.text("schedule") != there:
            continue
        swap.ignore("id", "created_at", "updated_at", "description", "status")
        start, end = instant(swap.text("swap_start")), instant(swap.text("swap_end"))
        both = [one for one in (swap.text("beneficiary"), swap.text("benefactor")) if one]
        if start is None or end is None or end <= now or len(both) < 2:
            swap.tell("left", f"swap of schedule {name}", "it is over, or nobody has taken it")
            continue
        people = _people(both, swap, f"swap of schedule {name}", draft, book)
        for entry in entries:
            entry.setdefault("swaps", []).append(
                {"people": people, "from": start.isoformat(), "until": end.isoformat()}
            )
        told = f"each takes the other's turns here; there {people[1]} only took those of {people[0]}"
        swap.tell("changed", f"swap of schedule {name}", told)


# Chains and routes


def _chains(lists: dict[str, list[Item]], draft: Draft, book: _Book, names: Names) -> None:
    steps: dict[str, list[Item]] = {}
    for item in lists["escalation_policies"]:
        steps.setdefault(item.text("escalation_chain_id"), []).append(item)
    known = {item.text("id"): item for item in lists["escalation_chains"]}
    for there, parts in steps.items():
        chain = known.get(there)
        name = chain.text("name") if chain is not None else there
        _chain(
            there, name, chain or parts[0], sorted(parts, key=lambda one: one.number("position")), draft, book, names
        )
    for there, item in known.items():
        item.ignore("team_id")
        if there not in steps:
            item.tell("left", f"escalation chain {item.text('name')}", "it has no steps in the files")


def _chain(there: str, name: str, item: Item, parts: Sequence[Item], draft: Draft, book: _Book, names: Names) -> None:
    policy = names.of(f"chain {there}", name)
    steps: list[dict[str, Any]] = []
    members: list[str] = []
    when: dict[str, Any] = {}
    repeat, waited = 0, True
    for number, part in enumerate(parts):
        kind = part.text("type")
        what = f"step {number + 1} of chain {name} ({kind})"
        part.ignore("id", "position")
        if part.flag("important", False):
            part.tell("changed", what, "important: severity decides by which rules people are told")
        if kind == "wait":
            seconds = part.number("duration", 300)
            if steps:
                before = 0 if not waited else _seconds(steps[-1])
                steps[-1]["wait"] = format_duration(timedelta(seconds=before + seconds))
                waited = True
                part.tell("taken", what, f"the wait of the step before it: {steps[-1]['wait']}")
            else:
                part.tell("changed", what, "nobody waits before the first step; group_wait in incidents/ does")
        elif kind == "repeat_escalation":
            repeat = _REPEATS
            part.tell("taken", what, f"repeat: {_REPEATS}, as often as Grafana OnCall does; then the fallback")
        elif kind == "notify_if_time_from_to":
            hours = "-".join(part.text(key)[:5] for key in ("notify_if_time_from", "notify_if_time_to"))
            when = {"during": [{"hours": hours}], "timezone": "UTC"}
            part.tell("changed", what, "the steps after it count only then; there the chain waits until then")
        else:
            notify = _targets(part, kind, what, draft, book, members)
            if not notify:
                continue
            if steps and not waited and steps[-1].get("when", {}) == when:
                steps[-1]["notify"] += [one for one in notify if one not in steps[-1]["notify"]]
            else:
                steps.append(
                    {
                        "notify": notify,
                        **({"when": when} if when else {}),
                        "wait": "1m" if steps and not waited else "5m",
                    }
                )
            waited = False
            part.tell("taken", what, f"escalation_policies.{policy}: {', '.join(notify)}")
    if not steps or not members:
        item.tell("left", f"escalation chain {name}", "none of its steps reaches anybody in the files")
        return
    draft.policies[policy] = {"steps": steps, "repeat": repeat}
    draft.teams[policy] = {"members": list(dict.fromkeys(members))}
    book.chains[there] = policy
    item.tell("taken", f"escalation chain {name}", f"escalation_policies.{policy}; teams.{policy} has everybody in it")


def _seconds(step: dict[str, Any]) -> int:
    return int(parse_duration(step["wait"]).total_seconds())


def _targets(part: Item, kind: str, what: str, draft: Draft, book: _Book, members: list[str]) -> list[str]:
    if kind in {"notify_persons", "notify_person_next_each_time"}:
        key = "persons_to_notify" if kind == "notify_persons" else "persons_to_notify_next_each_time"
        people = _people(part.texts(key), part, what, draft, book)
        if kind != "notify_persons":
            part.tell("changed", what, "everybody of it is paged each time; a schedule lets them take turns")
        members += people
        return [f"person:{person}" for person in people]
    if kind == "notify_on_call_from_schedule":
        there = part.text("notify_on_call_from_schedule")
        found = book.schedules.get(there, [])
        members += sorted(book.on_rota.get(there, ()))
        if not found:
            part.tell("left", what, "that schedule is not in the files, or could not be said here")
        return [f"schedule:{one}" for one in found]
    if kind == "notify_team_members":
        team = book.teams.get(part.text("team_to_notify") or part.text("notify_team_members"))
        members += draft.teams[team]["members"] if team else []
        return [f"team:{team}"] if team else []
    if kind == "trigger_webhook":
        webhook = book.webhooks.get(part.text("action_to_trigger"))
        if webhook is None:
            part.tell("left", what, "the webhook is not in the files; notify.webhooks in agentpager.yaml")
        return [f"webhook:{webhook}"] if webhook else []
    told = {
        "notify_user_group": "name a schedule or team; a schedule may keep a user group in step: usergroup",
        "notify_whole_channel": 'a step may name a channel: notify: ["channel:#name"]',
        "resolve": "nothing is resolved by itself while it fires",
        "declare_incident": "every page is an incident here",
        "notify_if_num_alerts_in_window": "group_wait in incidents/ waits for others to join",
    }
    part.source.done.add(part.path)
    part.tell("left", what, told.get(kind, "there is no such step here"))
    return []


def _routes(lists: dict[str, list[Item]], draft: Draft, book: _Book) -> None:
    integrations = {item.text("id"): item for item in lists["integrations"]}
    for item in integrations.values():
        item.ignore(
            "description_short", "team_id", "type", "inbound_email", "labels", "dynamic_labels", "incidents_count"
        )
        default = item.get("default_route")
        default.ignore("id")
        _default(default, f"default route of integration {item.text('name')}", len(integrations) == 1, draft, book)
        item.tell(
            "changed",
            f"integration {item.text('name')}",
            "point what sends its alerts at agentpager: docs/alertmanager.md, docs/bridges.md",
        )
    ordered = sorted(
        lists["routes"],
        key=lambda one: (one.text("integration_id"), one.flag("is_the_last_route", False), one.number("position")),
    )
    for route in ordered:
        route.ignore("id", "position", "is_the_last_route", "telegram", "msteams")
        integration = integrations.get(route.text("integration_id"))
        what = f"route {route.path[-1]} of integration {integration.text('name') if integration is not None else '?'}"
        if route.flag("is_the_last_route", False):
            _default(route, what, len(integrations) <= 1, draft, book)
            continue
        policy = book.chains.get(route.text("escalation_chain_id"))
        _channel(route, policy, what, draft)
        written = route.text("routing_regex")
        matchers = _read_condition(written, route.text("routing_type"))
        if policy is None:
            route.tell("left", what, "it has no escalation chain, or its chain could not be said here")
        elif matchers is None:
            route.tell("left", what, f"{written}: write a routing entry with matchers for team:{policy}")
        else:
            _routed(route, what, matchers, f"team:{policy}", len(integrations) <= 1, draft)
    draft.routing.sort(key=lambda entry: not entry.get("matchers"))


def _routed(route: Item, what: str, matchers: list[str], owner: str, only: bool, draft: Draft) -> None:
    """Alerts do not say by which integration they came: an entry counts for those of all."""
    words = " ".join(matchers)
    others = {entry["owner"] for entry in draft.routing if entry.get("matchers") == matchers}
    if others - {owner}:
        told = (
            f"{words} is of {others.pop()} by a route of another integration: label what comes by this one, and route"
        )
        route.tell("left", what, f"{told} it to {owner}")
        return
    draft.routing.append({"matchers": matchers, "owner": owner})
    if only:
        route.tell("taken", what, f"routing: {words} is of {owner}")
    else:
        route.tell("changed", what, f"routing: {words} is of {owner}, by whichever integration it comes")


def _default(item: Item, what: str, only: bool, draft: Draft, book: _Book) -> None:
    policy = book.chains.get(item.text("escalation_chain_id"))
    item.ignore("routing_regex", "routing_type", "position", "is_the_last_route", "telegram", "msteams")
    _channel(item, policy, what, draft)
    if policy is None:
        if item:
            item.tell("left", what, "it has no escalation chain, or its chain could not be said here")
        return
    if only and not any(not entry.get("matchers") for entry in draft.routing):
        draft.routing.append({"owner": f"team:{policy}"})
        item.tell("taken", what, f"routing of everything else: team:{policy}")
    elif not only:
        item.tell(
            "left",
            what,
            f"alerts do not say by which integration they came: label them, and route them to team:{policy}",
        )


def _channel(item: Item, policy: str | None, what: str, draft: Draft) -> None:
    slack = item.get("slack")
    slack.ignore("enabled")
    channel = channel_of(slack.text("channel_id")) if slack.text("channel_id") else None
    if channel is None or policy is None:
        return
    before = draft.teams[policy].setdefault("channel", channel)
    if before != channel:
        item.tell("changed", what, f"its channel {channel}: team:{policy} has one channel, {before}")


def _read_condition(text: str, kind: str) -> list[str] | None:
    """Matchers for a route whose condition is about labels of the payload; None for anything else."""
    if kind == "jinja2" or "{{" in text:
        inside = text.strip().removeprefix("{{").removesuffix("}}").strip()
        found = []
        for part in re.split(r"\s+and\s+", inside):
            match = _CONDITION.fullmatch(part.strip())
            if match is None:
                return None
            name, value = match[1] or match[2] or match[3], match[5] if match[5] is not None else match[6]
            found.append(f'{label_name(name)}{"=" if match[4] == "==" else "!="}"{value}"')
        return found
    match = _PAIR.fullmatch(text.strip())
    return [f'{label_name(match[1])}="{match[2]}"'] if match is not None else None
