"""`alertmanager.yml` as teams, routing, grouping, inhibition and mute windows. What receivers send is receivers.py's.

The routing tree becomes a list, children before their parent and siblings in their order, each with the matchers of all
routes above it: the first entry that holds is the route that Alertmanager finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from bot.importing import receivers
from bot.importing.draft import Draft, Names, label_name, matcher_texts
from bot.importing.intervals import Span, outside, spans_of, windows
from bot.importing.reading import Item, Source
from bot.importing.receivers import Receiver
from bot.labels import Matcher, Op, parse_matchers
from bot.schema import parse_duration

Matchers = tuple[Matcher, ...]
HINTS = {
    "templates": "messages are written by agentpager; what rules say stands in their annotations",
    "tracing": "traces are set up by OTEL_* variables, see docs/tracing.md",
    "http_config": "a proxy or certificates for sending are not set here",
    "slack_api_url": "agentpager posts with its own Slack app, see docs/slack.md",
    "slack_api_url_file": "agentpager posts with its own Slack app, see docs/slack.md",
    "smtp_hello": "the name of the machine is used",
    "smtp_auth_secret": "CRAM-MD5 is not spoken; give notify.email a password",
    "smtp_auth_identity": "the user's name is used",
}

_OURS_TOO = (
    "a mute window would hide what agentpager says of itself too: write one with a matcher that this does not meet"
)


@dataclass(frozen=True)
class Options:
    """What routes hand down."""

    group_by: tuple[str, ...] | None = None
    group_wait: str = ""
    group_interval: str = ""


@dataclass(frozen=True)
class Route:
    """`path` is what the way down matches, `taken` what other routes take away from it."""

    item: Item
    receiver: str
    path: Matchers
    taken: tuple[Matchers, ...]
    options: Options
    goes_on: bool
    mutes: tuple[str, ...] = ()
    active: tuple[str, ...] = ()
    children: tuple[Route, ...] = field(default=())


def read(source: Source, draft: Draft, today: date) -> None:
    root = source.root
    known = {one.name: one for one in receivers.read(root, draft)}
    intervals = _intervals(root, today)
    _global(root, draft)
    tree = root.get("route")
    named: set[str] = set()
    if not tree:
        root.tell("left", "route", "the file has no route, so nothing says who has which alert")
    else:
        named = _routes(tree, known, intervals, draft)
    for one in known.values():
        if one.name not in named:
            one.item.tell("left", f"receiver {one.name}", "no route names it")
    for number, rule in enumerate(root.all_of("inhibit_rules")):
        _inhibition(rule, number, draft)
    if not draft.fallback:
        draft.fallback = f"person:{draft.stand_in()}"


def _global(root: Item, draft: Draft) -> None:
    settings = root.get("global")
    if (timeout := settings.text("resolve_timeout")) and _duration(settings, "resolve_timeout", timeout):
        draft.main["push"] = {"resolve_timeout": timeout}
        settings.get("resolve_timeout").tell(
            "taken", "global.resolve_timeout", "push.resolve_timeout in agentpager.yaml"
        )
    receivers.mail(settings, draft)


# Routes


def _routes(tree: Item, known: dict[str, Receiver], intervals: dict[str, list[Span]], draft: Draft) -> set[str]:
    """The names of the receivers that routes have."""
    root = _route(tree, (), (), Options(), "")
    muted = Names(40)
    grouped: list[Route] = []
    for route in _flat(root):
        receiver = known.get(route.receiver)
        if receiver is None:
            text = f'there is no receiver "{route.receiver}"; its alerts go to the fallback'
            route.item.tell("left", "route", text)
            continue
        if _place(route, receiver, draft, muted):
            grouped.append(route)
        _hours(route, intervals, draft, muted)
    _grouping(grouped, draft)
    fallback = known.get(root.receiver)
    if fallback is not None and fallback.team:
        draft.fallback = f"team:{fallback.team}"
        tree.tell("taken", "route", f"the root: routing of everything else, and the fallback, is {draft.fallback}")
    return {route.receiver for route in _flat(root)}


def _route(item: Item, path: Matchers, taken: tuple[Matchers, ...], above: Options, receiver: str) -> Route:
    mine = (*path, *_matchers(item))
    receiver = item.text("receiver") or receiver
    options = _options(item, above)
    if item.has("repeat_interval"):
        told = "whoever has not acknowledged is paged again by the policy, and whoever has is asked after ack_timeout"
        item.leave("repeat_interval", "repeat_interval", told, "changed")
    children: list[Route] = []
    earlier: list[Matchers] = []
    for child in item.all_of("routes"):
        made = _route(child, mine, (*taken, *earlier), options, receiver)
        children.append(made)
        if not made.goes_on:
            earlier.append(made.path)
    return Route(
        item, receiver, mine, taken, options, item.flag("continue", False),
        tuple(item.texts("mute_time_intervals")), tuple(item.texts("active_time_intervals")), tuple(children),
    )  # fmt: skip


def _flat(route: Route) -> Iterator[Route]:
    for child in route.children:
        yield from _flat(child)
    yield route


def _options(item: Item, above: Options) -> Options:
    found = above
    if item.has("group_by"):
        found = replace(found, group_by=tuple(item.texts("group_by")))
        item.get("group_by").tell("taken", "group_by", "grouping in incidents/", key=True)
    for key in ("group_wait", "group_interval"):
        if text := item.text(key):
            found = replace(found, group_wait=text) if key == "group_wait" else replace(found, group_interval=text)
            item.get(key).tell("taken", key, "grouping in incidents/; a critical alert waits for nobody", key=True)
    return found


def _matchers(item: Item) -> Matchers:
    found: list[Matcher] = []
    for key, op in (("match", Op.EQUAL), ("match_re", Op.REGEX)):
        for name, value in item.get(key).entries():
            found += _one(value, lambda name=name, op=op, value=value: (Matcher(name, op, value.own_text()),))
    for one in item.all_of("matchers"):
        found += _one(one, lambda one=one: parse_matchers(one.own_text()))
    return tuple(found)


def _one(item: Item, read_it: Any) -> Matchers:
    try:
        matchers: Matchers = read_it()
    except ValueError as error:
        item.tell("left", "matcher", f"{error}; the route counts without it, so look at its entry in routing")
        return ()
    for matcher in matchers:
        if label_name(matcher.name) != matcher.name:
            told = f"labels are named with letters, digits and _: it is {label_name(matcher.name)} here"
            item.tell("changed", f"matcher of {matcher.name}", told)
    return matchers


def _place(route: Route, receiver: Receiver, draft: Draft, muted: Names) -> bool:
    """Whose alerts these are, and what the report says of it. Whether they are somebody's."""
    what = f"route to {route.receiver}"
    if receiver.is_nobody:
        _silent(route, receiver, draft, muted)
        return False
    if route.goes_on and receiver.only_tells and not route.children:
        told_names = receiver.tell(draft, {"matchers": matcher_texts(route.path)} if route.path else {})
        where = ", ".join(f"notify.receivers.{name}" for name in told_names)
        told = f"continue: {where} told by matchers; the alert is of the route after it, or else of the one above"
        route.item.tell("changed", what, told)
        return False
    team = receiver.needs_team(draft)
    entry: dict[str, Any] = {"matchers": matcher_texts(route.path)} if route.path else {}
    draft.routing.append(entry | {"owner": f"team:{team}"})
    if route.goes_on:
        told = f"continue: the alert is of team:{team} only; name what later routes tell in escalation_policies.{team}"
        route.item.tell("changed", what, told)
    elif route.path:
        route.item.tell("taken", what, f"routing entry {len(draft.routing)} of team:{team}")
    return True


def _silent(route: Route, receiver: Receiver, draft: Draft, muted: Names) -> None:
    """A receiver that sends nothing is how Alertmanager is told to be quiet."""
    name = muted.of(f"silent {route.item.path}", f"to-{receiver.name}")
    always = [{"hours": "00:00-24:00"}]
    if _mute(draft, name, route, always, "UTC", f"Alertmanager sent these to the receiver {receiver.name}"):
        told = f"it sends nothing: mute_windows.{name} is open all the time; the alerts are listed and wake nobody"
        route.item.tell("changed", f"route to {route.receiver}", told)
    else:
        told = "it sends nothing there; here its alerts are of the next route, or wake the fallback: a mute window"
        told += " would hide what agentpager says of itself too"
        route.item.tell("changed", f"route to {route.receiver}", told)


def _hours(route: Route, intervals: dict[str, list[Span]], draft: Draft, muted: Names) -> None:
    for name in route.mutes:
        what = f"mute_time_intervals {name}"
        for zone, spans in _by_zone(intervals.get(name, [])).items():
            window = muted.of(f"mute {route.item.path} {name} {zone}", name)
            if _mute(draft, window, route, windows(spans, window), zone, f"Alertmanager's time interval {name}"):
                _calendars(draft, window, spans)
                route.item.tell("taken", what, f"mute_windows.{window}")
            else:
                route.item.tell("left", what, _OURS_TOO)
        if name not in intervals:
            route.item.tell("left", what, "there is no such time interval in the file")
    if not route.active:
        return
    every = [span for name in route.active for span in intervals.get(name, [])]
    zones = _by_zone(every)
    closed = outside(every) if len(zones) == 1 else None
    label = " and ".join(route.active)
    what = f"active_time_intervals {label}"
    if closed is None:
        told = "several zones, or single days: mute windows for the rest of the time have to be written by hand"
        route.item.tell("left", what, told)
        return
    window = muted.of(f"active {route.item.path}", f"outside-{label}")
    if _mute(draft, window, route, closed, next(iter(zones)), f"outside of Alertmanager's time interval {label}"):
        route.item.tell("taken", what, f"mute_windows.{window}, the time outside of it")
    else:
        route.item.tell("left", what, _OURS_TOO)


def _by_zone(spans: Sequence[Span]) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for span in spans:
        found.setdefault(span.zone, []).append(span)
    return found


def _calendars(draft: Draft, window: str, spans: Sequence[Span]) -> None:
    for number, span in enumerate(spans):
        if span.days is not None:
            draft.holidays[f"{window}-{number + 1}"] = {"dates": dict.fromkeys(span.days, "time interval")}


def _mute(draft: Draft, name: str, route: Route, during: list[dict[str, Any]], zone: str, reason: str) -> bool:
    """A mute window for the alerts of one route: those of its way down that no other route takes. False where it would
    also hide what agentpager says of itself."""
    matchers, loose = _only(route)
    if not any(_asks_for_something(matcher) for matcher in matchers):
        return False
    if loose:
        told = "; ".join(" ".join(str(one) for one in matchers) for matchers in loose)
        route.item.tell("changed", f"mute_windows.{name}", f"it mutes also what these routes take from it: {told}")
    if not during:
        return True
    entry = {"matchers": matcher_texts(matchers), "during": during}
    draft.mute_windows[name] = entry | {"timezone": zone, "max_severity": "critical", "reason": reason}
    return True


def _asks_for_something(matcher: Matcher) -> bool:
    """Whether an alert of agentpager itself does not meet it. Those have a name, a severity and an owner."""
    if matcher.name in {"severity", "owner"}:
        return False
    return not matcher.matches_value("WatcherDown" if matcher.name == "alertname" else "")


def _only(route: Route) -> tuple[Matchers, list[Matchers]]:
    """Matchers of the alerts that end at this route, and what cannot be taken out by one matcher."""
    matchers = list(route.path)
    loose: list[Matchers] = []
    for other in (*route.taken, *(child.path for child in route.children)):
        rest = [one for one in other if one not in route.path and not _implied(one, route.path)]
        if any(_excluded(one, route.path) for one in rest):
            continue
        if len(rest) == 1:
            matchers.append(_negated(rest[0]))
        elif rest:
            loose.append(tuple(rest))
    return tuple(dict.fromkeys(matchers)), loose


def _value(name: str, path: Matchers) -> str | None:
    return next((one.value for one in path if one.name == name and one.op is Op.EQUAL), None)


def _implied(matcher: Matcher, path: Matchers) -> bool:
    value = _value(matcher.name, path)
    return value is not None and matcher.matches_value(value)


def _excluded(matcher: Matcher, path: Matchers) -> bool:
    value = _value(matcher.name, path)
    return value is not None and not matcher.matches_value(value)


def _negated(matcher: Matcher) -> Matcher:
    other = {Op.EQUAL: Op.NOT_EQUAL, Op.NOT_EQUAL: Op.EQUAL, Op.REGEX: Op.NOT_REGEX, Op.NOT_REGEX: Op.REGEX}
    return Matcher(matcher.name, other[matcher.op], matcher.value)


def _grouping(routes: Sequence[Route], draft: Draft) -> None:
    """An entry for each route whose alerts would otherwise be grouped as those of another route."""
    found: list[tuple[Route, dict[str, Any]]] = []
    for route in reversed(routes):
        options = route.options
        names = (name if name == "..." else label_name(name) for name in options.group_by or ())
        entry: dict[str, Any] = {"group_by": list(names)}
        for key in ("group_wait", "group_interval"):
            if (text := getattr(options, key)) and _duration(route.item, key, text):
                entry[key] = text
        if not _said_later(route, entry, found):
            found.insert(0, (route, entry))
    draft.grouping = [
        {**({"matchers": matcher_texts(route.path)} if route.path else {}), **entry} for route, entry in found
    ]


def _said_later(route: Route, entry: dict[str, Any], later: Sequence[tuple[Route, dict[str, Any]]]) -> bool:
    """Whether the entries behind it group all of its alerts in the same way."""
    for other, said in later:
        if said == entry and set(other.path) <= set(route.path):
            return True
        if said != entry and not any(_excluded(one, route.path) for one in other.path):
            return False
    return False


def _duration(item: Item, key: str, text: str) -> bool:
    try:
        span = parse_duration(text)
    except ValueError as error:
        item.tell("left", key, str(error))
        return False
    return bool(span) or key == "group_wait"


# Intervals and inhibition


def _intervals(root: Item, today: date) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for key in ("time_intervals", "mute_time_intervals"):
        for one in root.all_of(key):
            name = one.text("name")
            found[name] = spans_of(one.get("time_intervals"), today)
            single = any(span.days is not None for span in found[name])
            told = "windows of the mute windows that name it" + (
                ", with its days as calendars in holidays" if single else ""
            )
            one.tell("taken", f"time interval {name}", told)
    return found


def _inhibition(rule: Item, number: int, draft: Draft) -> None:
    sides: dict[str, Matchers] = {}
    for side in ("source", "target"):
        found: list[Matcher] = []
        for key, op in ((f"{side}_match", Op.EQUAL), (f"{side}_match_re", Op.REGEX)):
            for name, value in rule.get(key).entries():
                found += _one(value, lambda name=name, op=op, value=value: (Matcher(name, op, value.own_text()),))
        for one in rule.all_of(f"{side}_matchers"):
            found += _one(one, lambda one=one: parse_matchers(one.own_text()))
        sides[side] = tuple(found)
    if rule.all_of("sources"):
        rule.leave("sources", "sources", "several sources of one rule: write an inhibit rule for each")
    name = rule.text("name") or f"{_spoken(sides['source'])} hides {_spoken(sides['target'])}"
    if any(entry["name"] == name for entry in draft.inhibit_rules):
        name = f"{name} ({number + 1})"
    entry: dict[str, Any] = {"name": name}
    for side, matchers in sides.items():
        entry[f"{side}_matchers"] = matcher_texts(matchers)
    if not sides["source"] or not sides["target"]:
        rule.tell("left", f"inhibit rule {number + 1}", "one side of it matches every alert: say what hides what")
        return
    if equal := rule.texts("equal"):
        entry["equal"] = [label_name(one) for one in equal]
    draft.inhibit_rules.append(entry)
    rule.tell("taken", f"inhibit rule {number + 1}", f'inhibit_rules "{name}" in incidents/')


def _spoken(matchers: Matchers) -> str:
    return ", ".join(str(one).replace('"', "") for one in matchers) or "everything"
