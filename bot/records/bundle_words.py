"""The hand-over bundle of an agent as Markdown, and as a few lines for a terminal. Pure.

What came from files, labels and people is escaped: it shows as it was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.records.markdown import table, text
from bot.records.timeline import span

_NOTHING = "not said"
_STEPS = "first steps"
Row = Mapping[str, Any]


def markdown(told: Row) -> str:
    return "\n".join(_sections(told)) + "\n"


def _sections(told: Row) -> Iterator[str]:
    yield f"# {text(told['title'])} ({text(told['agent'])})"
    yield ""
    yield text(told["description"] or "Nobody has described what it does: add `description` to its file.")
    yield ""
    yield f"Hand-over bundle of {told['at'][:16].replace('T', ' ')} UTC."
    if told["not_asked"]:
        yield f"**From the files alone:** {text(told['not_asked'])}"
    for heading, part in _PARTS.items():
        yield from ["", f"## {heading}", "", *part(told)]


def _now(told: Row) -> Iterator[str]:
    people = told["people"]
    yield from table(
        ["", ""],
        [
            ("on call now", _people(people["on_call_now"]) or "nobody"),
            ("owner", _named(people["owner"], people["owner_people"])),
            ("deputy", _named(people["deputy"], people["deputy_people"]) if people["deputy"] else _NOTHING),
            ("channel", people["channel"]),
            ("policy", f"{people['policy']}, then {people['fallback']}"),
        ],
    )
    yield ""
    rows = [(_after(one["after_seconds"]), _who(one), one["why"]) for one in people["ladder"]]
    yield from table(["after", "who is woken by what is critical", "why"], rows)


def _stop(told: Row) -> Iterator[str]:
    switch = told["kill_switch"]
    if switch is None:
        yield "**Nobody has written down how to stop it.** Add `kill_switch` to its file."
        return
    yield f"`{_code(switch['how'])}`" if "`" not in switch["how"] else text(switch["how"])
    yield ""
    yield f"Last tried on {switch['tested_on']}." if switch["tested_on"] else "**It has never been tried.**"


def _what(told: Row) -> Iterator[str]:
    model, targets, cost = told["model"], told["targets"], told["cost"]
    slo = targets["slo"]
    yield from table(
        ["", ""],
        [
            ("stage", told["stage"]),
            ("tier", _or(told["tier"])),
            ("model", f"{model['name']} of {model['provider']}" if model else _NOTHING),
            ("success", f"{_share(slo['target'])} over {slo['window']}" if slo else _NOTHING),
            ("a run takes at most", _or(targets["latency_target"])),
            ("longest pause between runs", _or(targets["max_gap"])),
            ("success of eight runs of a task", _share(targets["pass8_target"])),
            ("budget per day", _dollars(cost["budget_usd_day"])),
            ("cost per run", _dollars(cost["cost_per_run_usd"])),
            ("runs per day at full volume", _or(cost["runs_per_day"])),
            ("limits of a run", ", ".join(f"{_spaced(k)} {v}" for k, v in told["limits"].items()) or _NOTHING),
            ("audit log of its actions", _or(told["audit_sink"])),
            ("review due on", _review(told)),
        ],
    )


def _works_with(told: Row) -> Iterator[str]:
    rows = [
        (
            one["tool"] + (" (MOCKED)" if one["mocked"] else ""),
            _or(one["owner"]),
            _spaced(one["layer"]),
            one["access"],
            _or(one["credential"]),
            one["notes"],
        )
        for one in told["tools"]
    ]
    yield from (table(["tool", "owner", "layer", "access", "credential", "notes"], rows) if rows else ["No tools."])
    yield ""
    rows = [
        (
            one["dataset"],
            _or(one["owner"]),
            _or(one["max_age"]),
            one["missing"] or _NOTHING,
            one["upstream"] or "",
            one["notes"],
        )
        for one in told["datasets"]
    ]
    heads = ["dataset", "owner", "at most so old", "when a value is missing", "upstream", "notes"]
    yield from (table(heads, rows) if rows else ["No datasets."])


def _may(told: Row) -> Iterator[str]:
    identity = told["identity"]
    if identity is None:
        yield "Nobody has written down as whom it acts. Add `identity` to its file."
        return
    yield f"It acts as `{_code(identity['principal'])}` and may: {text(', '.join(identity['scopes']))}."


def _links(told: Row) -> Iterator[str]:
    yield from [f"- {text(name)}: <{url}>" for name, url in told["links"].items()] or ["None are in its file."]


def _alerts(told: Row) -> Iterator[str]:
    rows = [
        (one["alert"], one["severity"], one["owner"], one["for"], one["runbook"] or "NONE", one["impact"])
        for one in told["alerts"]
    ]
    yield from (
        table(["alert", "severity", "who has it", "holds for", "runbook", "impact"], rows)
        if rows
        else ["**No alert watches it.**"]
    )


def _runbooks(told: Row) -> Iterator[str]:
    rows = [
        (
            one["runbook"],
            one["title"],
            " → ".join(step["title"] for step in one["first_steps"]),
            one["reviewed_on"] or "never",
        )
        for one in told["runbooks"]
    ]
    yield from (table(["runbook", "title", _STEPS, "reviewed"], rows) if rows else ["None."])


def _gone(told: Row) -> Iterator[str]:
    found = told["incidents"]
    if found is None:
        yield _unasked(told)
        return
    open_ = found["open"]
    listed = ", ".join(f"{one['id']} {text(one['title'])}" for one in open_)
    yield f"Open now: {listed}." if listed else "Nothing is open."
    yield ""
    rows = [
        (
            one["id"],
            one["opened_at"][:16].replace("T", " "),
            one["severity"],
            one["title"],
            span(one["lasted_seconds"]) if one["lasted_seconds"] is not None else one["state"],
            one["acked_by"] or "nobody",
            one["mark"] or "",
        )
        for one in found["lately"]
    ]
    heads = ["incident", "opened (UTC)", "severity", "what", "lasted", "taken by", "judged"]
    yield from (table(heads, rows) if rows else [f"No incident in the last {found['days']} days."])


def _ready(told: Row) -> Iterator[str]:
    verdict = told["readiness"]
    if verdict is None:
        yield _unasked(told)
        return
    blocking = ", ".join(_spaced(one) for one in verdict["blocking"])
    yield f"For the stage {verdict['stage']}: " + (
        "ready." if verdict["ready"] else f"**not ready**: {text(blocking)}."
    )
    yield ""
    rows = [(_spaced(one["domain"]), _spaced(one["status"]), one["evidence"]) for one in verdict["domains"]]
    yield from table(["domain", "status", "evidence"], rows)


def _evidence(told: Row) -> Iterator[str]:
    found = told["evidence"]
    if found is None:
        yield _unasked(told)
        return
    rows = [
        (
            one["at"][:16].replace("T", " "),
            _spaced(one["kind"]),
            "passed" if one["passed"] else "not passed",
            _or(one["person"]),
            one["summary"],
        )
        for one in found
    ]
    heads = ["when (UTC)", "what", "", "by", "what it has shown"]
    drill = f"None. `agentpager drill {told['agent']}` tries the whole way of a page."
    yield from (table(heads, rows) if rows else [drill])


def _waived(told: Row) -> Iterator[str]:
    rows = [
        (_spaced(one["domain"]), one["reason"], one["by"], one["until"] + (" (EXPIRED)" if one["expired"] else ""))
        for one in told["waivers"]
    ]
    yield from (table(["domain", "reason", "by", "until"], rows) if rows else ["None."])
    if told["acceptance"]:
        yield ""
        yield from table(["agreed criterion", "PromQL"], list(told["acceptance"].items()))


_PARTS = {
    "Who answers": _now,
    "How to stop it": _stop,
    "Open and past incidents": _gone,
    "What wakes somebody": _alerts,
    "Runbooks": _runbooks,
    "What it is": _what,
    "What it works with": _works_with,
    "As whom it acts": _may,
    "Links": _links,
    "Readiness": _ready,
    "Evidence": _evidence,
    "Waivers and criteria": _waived,
}


def short(told: Row) -> list[str]:
    """What a woken person needs, in plain lines."""
    people, switch, found = told["people"], told["kill_switch"], told["incidents"]
    lines = [
        f"{told['title']} ({told['agent']}), stage {told['stage']}" + (f", tier {told['tier']}" if told["tier"] else "")
    ]
    lines += [told["description"]] if told["description"] else []
    lines.append(f"On call now: {_people(people['on_call_now']) or 'nobody'}")
    deputy = f", deputy {people['deputy']}" if people["deputy"] else ""
    lines.append(f"Owner: {people['owner']}{deputy}; channel {people['channel']}; policy {people['policy']}")
    lines.append(f"To stop it: {switch['how']}" if switch else "To stop it: nobody has written down how")
    if found is not None:
        open_ = ", ".join(f"{one['id']} {one['title']}" for one in found["open"])
        lines.append(f"Open now: {open_ or 'nothing'}; {len(found['lately'])} incidents in {found['days']} days")
    waking = [one for one in told["alerts"] if one["severity"] in {"critical", "warning"}]
    bare = [one["alert"] for one in waking if one["runbook"] is None]
    lines.append(
        f"Alerts that wake somebody: {len(waking)}" + (f", without a runbook: {', '.join(bare)}" if bare else "")
    )
    if told["readiness"] is not None:
        verdict = told["readiness"]
        blocking = ", ".join(_spaced(one) for one in verdict["blocking"])
        lines.append(f"Ready for {verdict['stage']}: " + ("yes" if verdict["ready"] else f"no, {blocking}"))
    if told["evidence"] is not None:
        last = next((one for one in told["evidence"] if one["kind"] == "drill"), None)
        none = f"never; agentpager drill {told['agent']} tries the whole way of a page"
        lines.append(f"Last drill: {last['at'][:10]} {last['summary']}" if last else f"Last drill: {none}")
    lines += [f"{name}: {url}" for name, url in told["links"].items()]
    return lines


def _people(people: Sequence[Row]) -> str:
    return ", ".join(f"{one['name']} ({one['timezone']})" if one["timezone"] else str(one["name"]) for one in people)


def _named(owner: str, people: Sequence[Row]) -> str:
    told = _people(people)
    return f"{owner}: {told}" if told else owner


def _who(level: Row) -> str:
    return ", ".join([*(one["name"] for one in level["people"]), *level["channels"]])


def _after(seconds: int) -> str:
    return "at once" if seconds == 0 else span(seconds)


def _unasked(told: Row) -> str:
    return f"Not known: {'no running server was asked' if told['not_asked'] else 'it could not be said in time'}."


def _review(told: Row) -> str:
    return _or(told["review_on"]) + (" (OVERDUE)" if told["review_overdue"] else "")


def _spaced(word: str) -> str:
    return str(word).replace("_", " ")


def _or(value: object) -> str:
    return _NOTHING if value in {None, ""} else str(value)


def _share(value: float | None) -> str:
    """With all digits: of 0.9995 nothing may be rounded to 100 %."""
    return _NOTHING if value is None else f"{100 * value:.10g}%"


def _dollars(value: float | None) -> str:
    return _NOTHING if value is None else f"${value:g}"


def _code(value: str) -> str:
    return " ".join(value.split())
