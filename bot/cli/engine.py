"""The part of `agentpager doctor` that asks the engine of `metrics.prometheus`: whether it answers, and has what the
rules need.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bot.cli.blind import rows_of_agents

if TYPE_CHECKING:
    from bot.config import Config
    from bot.metrics.prometheus import Engine
    from bot.promql.value import Value
    from bot.rules.model import Group
    from bot.settings import Prometheus

Row = dict[str, Any]

_SKEW_SECONDS = 5.0
_WHOSE = ("agent", "api_key_alias", "consumer")
_SHOWN = 10


async def engine_rows(config: Config, settings: Prometheus) -> list[Row]:
    from bot.errors import QueryError
    from bot.metrics.prometheus import Engine

    engine = Engine(settings, config.base_dir)
    try:
        rows = [await _answers(engine)]
        if rows[0]["status"] != "fail":
            try:
                rows += [await _registry(engine, config), await _recorded(engine, config)]
                rows += rows_of_agents(config, await _seen(engine, config), frozenset())
            except QueryError as error:
                rows.append(_row("engine", "fail", str(error), "see docs/external-engine.md"))
        return rows
    finally:
        await engine.close()


async def _answers(engine: Engine) -> Row:
    from bot.errors import QueryError

    began, now = time.monotonic(), time.time()
    try:
        found = await engine.clock(time.monotonic() + engine.seconds)
    except QueryError as error:
        return _row(
            f"engine {engine.shown}", "fail", str(error), f"check metrics.prometheus; try: curl {engine.shown}/-/ready"
        )
    took = time.monotonic() - began
    skew = found - now
    if abs(skew) > _SKEW_SECONDS + took:
        ahead = "ahead of" if skew > 0 else "behind"
        text = f"its clock is {abs(skew):.0f} s {ahead} this machine's"
        hint = "set one of them right: rules ask about instants of this machine"
        return _row(f"engine {engine.shown}", "warning", text, hint)
    return _row(f"engine {engine.shown}", "ok", f"answers in {took * 1000:.0f} ms")


async def _registry(engine: Engine, config: Config) -> Row:
    names = {selector.name for _, expr in _exprs(config.groups) for selector in expr.selectors}
    if not any(name and name.startswith("agent_registry_") for name in names):
        return _row("engine: registry", "ok", "no rule reads it")
    if _size(await _ask(engine, "group(agent_registry_info)")):
        return _row("engine: registry", "ok", "agent_registry_info is there")
    hint = "let the engine scrape /metrics of agentpager; docs/external-engine.md has the lines"
    return _row("engine: registry", "fail", "rules join on agent_registry_info, which is not there", hint)


async def _recorded(engine: Engine, config: Config) -> Row:
    """As the rules themselves look: a rule whose expression has no result records nothing."""
    from bot.promql.nodes import quoted

    missing, count = [], 0
    for group in config.groups:
        for rule in group.rules:
            if not rule.record:
                continue
            count += 1
            labels = {"__name__": rule.record, **group.labels_of(rule)}
            body = ",".join(f"{name}={quoted(text)}" for name, text in labels.items())
            if not _size(await _ask(engine, f"group({{{body}}})")) and _size(await _ask(engine, rule.expr)):
                missing.append(rule.record)
    if missing:
        rest = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        text = f"nobody records {', '.join(dict.fromkeys(missing[:_SHOWN]))}{rest}"
        return _row("engine: recording rules", "fail", text, "give the same rule files to the engine's own ruler")
    return _row("engine: recording rules", "ok", f"{count} rules, none whose series are missing")


async def _seen(engine: Engine, config: Config) -> list[dict[str, str]]:
    """Which metrics that rules read are there, and of which agents."""
    from bot.promql.nodes import quoted
    from bot.promql.value import Vector

    names = sorted({one.name for _, expr in _exprs(config.groups) for one in expr.selectors if one.name})
    if not names:
        return []
    found = await _ask(engine, f"group by (__name__, {', '.join(_WHOSE)}) ({{__name__=~{quoted('|'.join(names))}}})")
    return [labels for labels, _ in found] if isinstance(found, Vector) else []


def _exprs(groups: Sequence[Group]) -> Iterator[tuple[str, Any]]:
    from bot.errors import QueryError
    from bot.promql.parse import parse

    for group in groups:
        for rule in group.rules:
            try:
                yield rule.name, parse(rule.expr, experimental=True)
            except QueryError:
                continue  # the configuration's own check has told


async def _ask(engine: Engine, question: str) -> Value:
    return await engine.instant(question, time.time(), time.monotonic() + engine.seconds)


def _size(value: Value) -> int:
    from bot.promql.value import Matrix, Vector

    return len(value) if isinstance(value, Vector | Matrix) else 1


def _row(check: str, status: str, message: str, hint: str = "") -> Row:
    return {"check": check, "status": status, "message": message, "hint": hint}
