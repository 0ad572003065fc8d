"""`alertmanager.yml` as teams, routing, grouping, inhibition and mute windows. What receivers send is receivers.py's.

The routing tree becomes a list, children before their parent and siblings in their order, each with the matchers of all
routes above it: the first entry that holds is the route that Alertmanager finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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


_WITHOUT = "the route counts without it, so look at its entry in routing"
_MOST_WINDOWS = 16  # for the alerts of one route


@dataclass(frozen=True)
class Options:
    """What routes hand down. `shared`: routes after it are told of the same alerts. `unsure`: a matcher could not be
    read, so that they would be more alerts here than there."""

    group_by: tuple[str, ...] | None = None
    group_wait: str = ""
    group_interval: str = ""
    shared: bool = False
    unsure: bool = False


@dataclass(frozen=True)
class Interval:
    """`whole`: each of its entries could be read."""

    spans: list[Span]
    whole: bool


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


def _routes(tree: Item, known: dict[str, Receiver], intervals: dict[str, Interval], draft: Draft) -> set[str]:
    """The names of the receivers that routes have."""
    root = _route(tree, (), (), Options(), "", known)
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


def _route(
    item: Item,
    path: Matchers,
    taken: tuple[Matchers, ...],
    above: Options,
    receiver: str,
    known: Mapping[str, Receiver],
) -> Route:
    own, whole = _matchers(item)
    mine = (*path, *own)
    receiver = item.text("receiver") or receiver
    options = _options(item, replace(above, unsure=above.unsure or not whole))
    if item.has("repeat_interval"):
        told = "whoever has not acknowledged is paged again by the policy, and whoever has is asked after ack_timeout"
        item.leave("repeat_interval", "repeat_interval", told, "changed")
    children: list[Route] = []
    earlier: list[Matchers] = []
    every = item.all_of("routes")
    for number, child in enumerate(every, 1):
        shared = options.shared or (child.flag("continue", False) and number < len(every))
        made = _route(child, mine, (*taken, *earlier), replace(options, shared=shared), receiver, known)
        children.append(made)
        if not _leaves_alerts(made, known):
            earlier.append(made.path)
    return Route(
        item, receiver, mine, taken, options, item.flag("continue", False),
        tuple(item.texts("mute_time_intervals")), tuple(item.texts("active_time_intervals")), tuple(children),
    )  # fmt: skip


def _leaves_alerts(route: Route, known: Mapping[str, Receiver]) -> bool:
    """Whether the alerts of a route that goes on are here, too, of the routes after it."""
    receiver = known.get(route.receiver)
    return route.goes_on and not route.children and (receiver is None or receiver.is_nobody or receiver.only_tells)


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


def _matchers(item: Item, side: str = "", without: str = _WITHOUT) -> tuple[Matchers, bool]:
    """Those that can be read, and whether all of them can."""
    found: list[Matchers | None] = []
    for key, op in ((f"{side}match", Op.EQUAL), (f"{side}match_re", Op.REGEX)):
        for name, value in item.get(key).entries():
            found.append(
                _one(value, lambda name=name, op=op, value=value: (Matcher(name, op, value.own_text()),), without)
            )
    found += [
        _one(one, lambda one=one: parse_matchers(one.own_text()), without) for one in item.all_of(f"{side}matchers")
    ]
    return tuple(matcher for matchers in found for matcher in matchers or ()), None not in found


def _one(item: Item, read_it: Any, without: str) -> Matchers | None:
    try:
        matchers: Matchers = read_it()
    except ValueError as error:
        item.tell("left", "matcher", f"{error}; {without}")
        return None
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
    why_not = _mute(
        draft, name, route, always, "UTC", f"Alertmanager sent these to the receiver {receiver.name}", muted
    )
    if not why_not:
        told = f"it sends nothing: mute_windows.{name} is open all the time; the alerts are listed and wake nobody"
    else:
        told = f"it sends nothing there; here its alerts are of the next route, or wake the fallback: {why_not}"
    route.item.tell("changed", f"route to {route.receiver}", told)


def _hours(route: Route, intervals: dict[str, Interval], draft: Draft, muted: Names) -> None:
    for name in route.mutes:
        what = f"mute_time_intervals {name}"
        to_come = [span for span in intervals[name].spans if span.days != ()] if name in intervals else []
        for zone, spans in _by_zone(to_come).items():
            window = muted.of(f"mute {route.item.path} {name} {zone}", name)
            during = windows(spans, window)
            if why_not := _mute(draft, window, route, during, zone, f"Alertmanager's time interval {name}", muted):
                route.item.tell("left", what, why_not)
            else:
                _calendars(draft, window, spans)
                route.item.tell("taken", what, f"mute_windows.{window}")
        if name not in intervals:
            route.item.tell("left", what, "there is no such time interval in the file")
        elif not to_come:
            route.item.tell("left", what, "none of its days is to come, or none can be read")
    if not route.active:
        return
    label = " and ".join(route.active)
    what = f"active_time_intervals {label}"
    if not all(name in intervals and intervals[name].whole for name in route.active):
        told = "not all of them can be read, and the rest of the time would mute too much: write mute windows by hand"
        route.item.tell("left", what, told)
        return
    every = [span for name in route.active for span in intervals[name].spans]
    zones = _by_zone(every)
    closed = outside(every) if len(zones) == 1 else None
    if closed is None:
        told = "several zones, or single days: mute windows for the rest of the time have to be written by hand"
        route.item.tell("left", what, told)
        return
    window = muted.of(f"active {route.item.path}", f"outside-{label}")
    reason = f"outside of Alertmanager's time interval {label}"
    if why_not := _mute(draft, window, route, closed, next(iter(zones)), reason, muted):
        route.item.tell("left", what, why_not)
    else:
        route.item.tell("taken", what, f"mute_windows.{window}, the time outside of it")


def _by_zone(spans: Sequence[Span]) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for span in spans:
        found.setdefault(span.zone, []).append(span)
    return found


def _calendars(draft: Draft, window: str, spans: Sequence[Span]) -> None:
    for number, span in enumerate(spans):
        if span.days is not None:
            draft.holidays[f"{window}-{number + 1}"] = {"dates": dict.fromkeys(span.days, "time interval")}


def _mute(
    draft: Draft, name: str, route: Route, during: list[dict[str, Any]], zone: str, reason: str, muted: Names
) -> str:
    """Mute windows for the alerts of one route: those of its way down that no other route takes. Or else what speaks
    against them: nothing may be hidden that somebody was told of."""
    if route.options.shared:
        return "continue: a mute window would hide its alerts from the routes after it too"
    if route.options.unsure:
        return "one of its matchers could not be read: a mute window would hide other alerts too"
    parts = _only(route)
    if not parts:
        return "the routes before it, or inside of it, take all of its alerts"
    if len(parts) > _MOST_WINDOWS:
        return f"what other routes take from it cannot be left out in {_MOST_WINDOWS} mute windows: write them by hand"
    if not all(any(_asks_for_something(matcher) for matcher in matchers) for matchers in parts):
        return _OURS_TOO
    for number, matchers in enumerate(parts if during else []):
        entry = {"matchers": matcher_texts(matchers), "during": during}
        chosen = name if not number else muted.of(f"{name} part {number}", name)
        draft.mute_windows[chosen] = entry | {"timezone": zone, "max_severity": "critical", "reason": reason}
    return ""


def _asks_for_something(matcher: Matcher) -> bool:
    """Whether an alert of agentpager itself does not meet it. Those have a name, a severity and an owner."""
    if matcher.name in {"severity", "owner"}:
        return False
    return not matcher.matches_value("WatcherDown" if matcher.name == "alertname" else "")


def _only(route: Route) -> list[Matchers]:
    """Matchers of the alerts that end at this route; an alert that matches any of them does. What another route takes
    by several matchers together is left out by one window for each of them."""
    parts: list[Matchers] = [tuple(dict.fromkeys(route.path))]
    for other in (*route.taken, *(child.path for child in route.children)):
        rest = [one for one in other if one not in route.path and not _implied(one, route.path)]
        if any(_excluded(one, route.path) for one in rest):
            continue
        parts = [tuple(dict.fromkeys((*part, _negated(one)))) for part in parts for one in rest]
        if len(parts) > _MOST_WINDOWS:
            break
    return parts


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


def _intervals(root: Item, today: date) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    for key in ("time_intervals", "mute_time_intervals"):
        for one in root.all_of(key):
            name = one.text("name")
            entries = one.get("time_intervals")
            spans = spans_of(entries, today)
            found[name] = Interval(spans, len(spans) == len(entries.each()))
            single = any(span.days is not None for span in spans)
            told = "windows of the mute windows that name it" + (
                ", with its days as calendars in holidays" if single else ""
            )
            one.tell("taken", f"time interval {name}", told)
    return found


def _inhibition(rule: Item, number: int, draft: Draft) -> None:
    without = "its inhibit rule would hide other alerts without it, so it is left out"
    source, whole_source = _matchers(rule, "source_", without)
    target, whole_target = _matchers(rule, "target_", without)
    if rule.all_of("sources"):
        rule.leave("sources", "sources", "several sources of one rule: write an inhibit rule for each")
    name = rule.text("name") or f"{_spoken(source)} hides {_spoken(target)}"
    if any(entry["name"] == name for entry in draft.inhibit_rules):
        name = f"{name} ({number + 1})"
    entry: dict[str, Any] = {
        "name": name,
        "source_matchers": matcher_texts(source),
        "target_matchers": matcher_texts(target),
    }
    equal = [label_name(one) for one in rule.texts("equal")]
    if not whole_source or not whole_target:
        rule.tell("left", f"inhibit rule {number + 1}", "one of its matchers cannot be read")
        return
    if not source or not target:
        rule.tell("left", f"inhibit rule {number + 1}", "one side of it matches every alert: say what hides what")
        return
    if equal:
        entry["equal"] = equal
    draft.inhibit_rules.append(entry)
    rule.tell("taken", f"inhibit rule {number + 1}", f'inhibit_rules "{name}" in incidents/')


def _spoken(matchers: Matchers) -> str:
    return ", ".join(str(one).replace('"', "") for one in matchers) or "everything"
