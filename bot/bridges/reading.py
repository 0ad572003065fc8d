"""A request to a bridge as alerts of ours: names of agents translated, labels put on, texts kept short."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from bot.bridges import langfuse, litellm, mapped, webhook
from bot.bridges.model import Body, PayloadError, Told
from bot.incidents.model import Alert, AlertState, pushed_group
from bot.labels import fingerprint
from bot.settings import Bridge

_LABEL, _ANNOTATION = 200, 2000
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_:.-]+")


def read(
    name: str, bridge: Bridge, body: Body, more: Mapping[str, str], agents: Collection[str], now: datetime
) -> tuple[list[Alert], str]:
    """`more` are labels that the sender's address carries, `agents` the ids of ours. Returns what could be read, and
    what is wrong with the rest."""
    try:
        found, wrong = _told(bridge, body), ""
    except PayloadError as error:
        found, wrong = error.taken, str(error)
    return [_alert(name, bridge, told, more, agents, now) for told in found], wrong


def _told(bridge: Bridge, body: Body) -> Sequence[Told]:
    if bridge.kind == "litellm":
        return litellm.read(body)
    if bridge.kind == "langfuse":
        return langfuse.read(body)
    if bridge.kind == "alertmanager":
        return webhook.read(body)
    assert bridge.map is not None
    return mapped.read(body, bridge.map)


def _alert(
    name: str, bridge: Bridge, told: Told, more: Mapping[str, str], agents: Collection[str], now: datetime
) -> Alert:
    """What the configuration says counts more than the address, and that more than the request."""
    agent = bridge.agents.get(told.agent, told.agent if told.agent in agents else "")
    labels = {"severity": "critical", **told.labels, "agent": agent, **more, **bridge.labels}
    if bridge.kind == "litellm" and not labels["agent"]:
        labels.setdefault("route", "platform")  # it is about the gateway then
    labels = {_text(key): _short(value, _LABEL) for key, value in labels.items() if value}
    labels |= {"alertname": _NOT_A_NAME.sub("_", told.alertname)[:_LABEL], "bridge": name}
    identity = {"bridge": name, "alertname": labels["alertname"], "key": _text(told.key)}
    identity |= {f"?{key}": _text(value) for key, value in more.items()}  # another address, another agent perhaps
    said = {**told.annotations, **bridge.annotations}
    over = told.resolved
    return Alert(
        fingerprint=fingerprint(identity),
        group=pushed_group(name),
        state=AlertState.RESOLVED if over else AlertState.FIRING,
        labels=labels,
        annotations={_text(key): _short(value, _ANNOTATION) for key, value in said.items() if value},
        value=told.value,
        starts_at=now,
        ends_at=now if over else None,
        generator_url=_text(told.generator_url),
        expires_at=now + bridge.resolve_after if bridge.resolve_after and not over else None,
    )


def _text(text: str) -> str:
    """JSON may have half a character, which nothing can write down."""
    return text.encode(errors="replace").decode()


def _short(text: str, limit: int) -> str:
    text = _text(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
