"""The part of `agentpager doctor` that says which alerts see something, which are blind, and what to add."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.config import Config
    from bot.metrics.spec import Spec
    from bot.rules.sight import Sight

Row = dict[str, Any]
Scraped = Sequence[tuple["Spec", Sequence[Mapping[str, str]]]]  # per target the labels of each of its series


def target_rows(rows: Iterable[Row], scraped: Scraped) -> Iterator[Row]:
    """The targets' rows, with the stacks that were seen. What a profile would put right makes a warning."""
    from bot.metrics.advice import missing_profiles
    from bot.metrics.profiles import PROFILES, profiles_seen

    for row, (spec, series) in zip(rows, scraped, strict=True):
        if row["status"] != "ok":
            yield row
            continue
        seen = _names(series)
        found = profiles_seen(seen)
        told = ", ".join(PROFILES[name].gives for name in found) or "no stack that is known"
        row |= {"message": f"{row['message']}, {len(series)} series: {told}", "profiles": found}
        lacking = missing_profiles(seen, spec.profile)
        if lacking:
            names = [*spec.profile, *lacking]
            written = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
            does = "; ".join(dict.fromkeys(part for parts in lacking.values() for part in parts))
            row |= {"status": "warning", "hint": f"profile: {written} on this target: {does}"}
        elif not found:
            row |= {"hint": "docs/instrumentation.md has what alerts need"}
        yield row


def agent_rows(config: Config, scraped: Scraped) -> Iterator[Row]:
    everything = [labels for _, series in scraped for labels in series]
    return rows_of_agents(config, everything, {spec.naming.labels.get("agent", "") for spec, _ in scraped})


def rows_of_agents(config: Config, everything: Sequence[Mapping[str, str]], targeted: Set[str]) -> Iterator[Row]:
    """One row for all agents that see the same. Agents that are retired are left out."""
    from bot.agents.model import Stage
    from bot.agents.series import registry_series
    from bot.rules.load import BUILTIN
    from bot.rules.sight import sights

    groups = [group for group in config.groups if group.file != BUILTIN]
    alike: dict[tuple[Sight, ...], list[str]] = {}
    for name, agent in config.agents.items():
        if agent.stage is Stage.RETIRED:
            continue
        own = [labels for labels in everything if labels.get("agent", name) == name]
        if name not in targeted and not any(labels.get("agent") == name for labels in everything):
            hint = f"add one with labels: {{agent: {name}}}, or a gateway whose profile names the agent"
            yield _row(f"alerts of {name}", "warning", "no target has this agent's metrics", hint)
            continue
        registry = [labels for labels, _ in registry_series({name: agent})]
        found = sights(groups, _names([*own, *registry]))
        if found:
            alike.setdefault(tuple(found), []).append(name)
    for alerts, names in alike.items():
        yield _agents_row(names, alerts)


def _agents_row(names: Sequence[str], found: Sequence[Sight]) -> Row:
    from bot.metrics.advice import what_to_add

    blind = [sight for sight in found if sight.lacks]
    waking = sum(sight.severity == "critical" for sight in blind)
    message = f"{len(found) - len(blind)} of {len(found)} have their metrics"
    if blind:
        message += f"; blind: {len(blind)}, {waking} of them critical"
    row = _row(f"alerts of {', '.join(names)}", "warning" if waking else "ok", message)
    return row | {
        "agents": list(names),
        "fed": [sight.alert for sight in found if not sight.lacks],
        "blind": [
            {
                "alert": sight.alert,
                "severity": sight.severity,
                "missing": [str(lack) for lack in sight.lacks],
                "add": list(dict.fromkeys(filter(None, (what_to_add(one.metric, one.label) for one in sight.lacks)))),
            }
            for sight in blind
        ],
    }


def blind_lines(blind: Sequence[Row]) -> Iterator[str]:
    """The blind alerts of a row, those that lack the same together."""
    together: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for one in blind:
        together.setdefault((tuple(one["missing"]), tuple(one["add"])), []).append(one["alert"])
    for (missing, add), alerts in together.items():
        yield f"blind: {', '.join(alerts)}: no {', no '.join(missing)}"
        for way in add:
            yield f"  → {way}"


def _names(series: Iterable[Mapping[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for labels in series:
        found.setdefault(labels["__name__"], set()).update(labels)
    return found


def _row(check: str, status: str, message: str, hint: str = "") -> Row:
    return {"check": check, "status": status, "message": message, "hint": hint}
